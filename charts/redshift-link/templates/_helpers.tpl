{{- define "redshift-link.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 53 | trimSuffix "-" }}
{{- end }}

{{/* Name of most objects: that of the release, with the chart's name in it once. Ten characters are left for endings. */}}
{{- define "redshift-link.fullname" -}}
{{- $name := include "redshift-link.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 53 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 53 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 53 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What selectors match. It can never change in a release. */}}
{{- define "redshift-link.selectorLabels" -}}
app.kubernetes.io/name: {{ include "redshift-link.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Labels of every object; the chart's own win over commonLabels. */}}
{{- define "redshift-link.labels" -}}
{{- $own := include "redshift-link.selectorLabels" . | fromYaml }}
{{- $_ := set $own "app.kubernetes.io/version" (.Chart.AppVersion | replace "+" "_") }}
{{- $_ := set $own "app.kubernetes.io/managed-by" .Release.Service }}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") }}
{{- merge $own .Values.commonLabels | toYaml }}
{{- end }}

{{/* Labels of the pods: without the chart's version, so that a new chart alone restarts nothing. */}}
{{- define "redshift-link.podLabels" -}}
{{- $own := include "redshift-link.selectorLabels" . | fromYaml }}
{{- merge $own .Values.podLabels .Values.commonLabels | toYaml }}
{{- end }}

{{- define "redshift-link.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default (include "redshift-link.fullname" .) }}
{{- else }}
{{- .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{- define "redshift-link.image" -}}
{{- with .Values.image }}
{{- if .digest }}
{{- printf "%s@%s" .repository .digest }}
{{- else }}
{{- printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "redshift-link.accountsSecretName" -}}
{{- if and .Values.accounts .Values.accountsSecret.name }}
{{- fail "accounts and accountsSecret.name are both set: the accounts stand in one of them" }}
{{- end }}
{{- .Values.accountsSecret.name | default (printf "%s-accounts" (include "redshift-link.fullname" .)) }}
{{- end }}

{{/* The accounts file. What the schema cannot see and the program would refuse is refused here, before anything changes. */}}
{{- define "redshift-link.accountsFile" -}}
{{- $seen := dict }}
{{- range .Values.accounts }}
{{- if hasKey $seen .id }}
{{- fail (printf "accounts: %s stands twice" .id) }}
{{- end }}
{{- $_ := set $seen .id true }}
{{- if not (contains (printf ":iam::%s:role/" .id) .roleArn) }}
{{- fail (printf "accounts: roleArn of %s is a role of another account: %s" .id .roleArn) }}
{{- end }}
{{- end }}
{{- dict "accounts" .Values.accounts | toYaml }}
{{- end }}
