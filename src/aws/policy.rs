//! IAM policy documents: building them, and comparing them by meaning.
//!
//! IAM gives a document back in its own form (single values for lists of one, another order, role ids for the ARNs of
//! roles that are gone), so text is never compared.

use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// One statement to be written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statement {
    /// Name of the statement; empty leaves it out.
    pub sid: &'static str,
    /// Deny instead of Allow.
    pub deny: bool,
    /// Principals by kind (`AWS`, `Service`); empty in identity policies.
    pub principals: Vec<(&'static str, Vec<String>)>,
    /// Actions.
    pub actions: Vec<String>,
    /// Resource ARNs; empty in trust policies.
    pub resources: Vec<String>,
    /// Conditions: operator, key, values.
    pub conditions: Vec<(&'static str, String, Vec<String>)>,
}

impl Statement {
    /// An Allow.
    #[must_use]
    pub fn allow(sid: &'static str, actions: &[&str]) -> Self {
        Self { sid, actions: actions.iter().map(ToString::to_string).collect(), ..Self::default() }
    }

    /// A Deny.
    #[must_use]
    pub fn deny(sid: &'static str, actions: &[&str]) -> Self {
        Self { deny: true, ..Self::allow(sid, actions) }
    }

    /// On these resources.
    #[must_use]
    pub fn on(mut self, resources: impl IntoIterator<Item = String>) -> Self {
        self.resources.extend(resources);
        self
    }

    /// By these principals.
    #[must_use]
    pub fn by(mut self, kind: &'static str, principals: impl IntoIterator<Item = String>) -> Self {
        self.principals.push((kind, principals.into_iter().collect()));
        self
    }

    /// Only under this condition too.
    #[must_use]
    pub fn when(
        mut self,
        operator: &'static str,
        key: impl Into<String>,
        values: impl IntoIterator<Item = String>,
    ) -> Self {
        self.conditions.push((operator, key.into(), values.into_iter().collect()));
        self
    }

    fn to_value(&self) -> Value {
        let mut out = Map::new();
        if !self.sid.is_empty() {
            out.insert("Sid".into(), json!(self.sid));
        }
        out.insert("Effect".into(), json!(if self.deny { "Deny" } else { "Allow" }));
        if !self.principals.is_empty() {
            let principals: Map<_, _> =
                self.principals.iter().map(|(k, v)| ((*k).to_owned(), one_or_many(v))).collect();
            out.insert("Principal".into(), Value::Object(principals));
        }
        out.insert("Action".into(), one_or_many(&self.actions));
        if !self.resources.is_empty() {
            out.insert("Resource".into(), one_or_many(&self.resources));
        }
        if !self.conditions.is_empty() {
            let mut conditions = Map::new();
            for (operator, key, values) in &self.conditions {
                let keys = conditions.entry(*operator).or_insert_with(|| json!({}));
                keys[key.as_str()] = one_or_many(values);
            }
            out.insert("Condition".into(), Value::Object(conditions));
        }
        Value::Object(out)
    }
}

fn one_or_many(values: &[String]) -> Value {
    match values {
        [one] => json!(one),
        many => json!(many),
    }
}

/// The JSON text of a document with these statements.
#[must_use]
pub fn document(statements: &[Statement]) -> String {
    pretty_document(statements).to_string()
}

/// The document as a JSON value, for printing.
#[must_use]
pub fn pretty_document(statements: &[Statement]) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements.iter().map(Statement::to_value).collect::<Vec<_>>()})
}

/// The number of characters that count against a quota: white space outside strings does not.
///
/// IAM's page on quotas speaks of white space as such; counting that in strings too is the safe side.
#[must_use]
pub fn size(document: &str) -> usize {
    document.chars().count()
}

/// What a document says, whatever its form: the set of its statements with names, order and case of actions aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meaning(BTreeSet<Normal>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Normal {
    deny: bool,
    principals: BTreeMap<String, BTreeSet<String>>,
    actions: BTreeSet<String>,
    resources: BTreeSet<String>,
    conditions: BTreeMap<(String, String), BTreeSet<String>>,
    /// Anything else (`NotAction`, ...), as text: it makes a statement differ from each of ours.
    other: BTreeMap<String, String>,
}

/// The meaning of a document; none where it is no policy document.
#[must_use]
pub fn meaning(document: &str) -> Option<Meaning> {
    let value: Value = serde_json::from_str(document).ok()?;
    let statements = match value.get("Statement")? {
        Value::Array(list) => list.iter().collect(),
        single @ Value::Object(_) => vec![single],
        _ => return None,
    };
    statements.into_iter().map(normal).collect::<Option<BTreeSet<_>>>().map(Meaning)
}

/// True where both documents say the same.
#[must_use]
pub fn same_meaning(a: &str, b: &str) -> bool {
    meaning(a).is_some_and(|a| Some(a) == meaning(b))
}

fn normal(statement: &Value) -> Option<Normal> {
    let mut out = Normal {
        deny: false,
        principals: BTreeMap::new(),
        actions: BTreeSet::new(),
        resources: BTreeSet::new(),
        conditions: BTreeMap::new(),
        other: BTreeMap::new(),
    };
    for (key, value) in statement.as_object()? {
        match key.as_str() {
            "Sid" => {}
            "Effect" => out.deny = value.as_str()? == "Deny",
            "Action" => out.actions = strings(value)?.into_iter().map(|a| a.to_ascii_lowercase()).collect(),
            "Resource" => out.resources = strings(value)?,
            "Principal" => match value {
                Value::Object(kinds) => {
                    for (kind, who) in kinds {
                        out.principals.insert(kind.clone(), strings(who)?);
                    }
                }
                other => {
                    out.principals.insert("*".into(), strings(other)?);
                }
            },
            "Condition" => {
                for (operator, keys) in value.as_object()? {
                    for (key, values) in keys.as_object()? {
                        out.conditions.insert((operator.clone(), key.to_ascii_lowercase()), strings(values)?);
                    }
                }
            }
            other => {
                out.other.insert(other.into(), value.to_string());
            }
        }
    }
    Some(out)
}

/// The texts of an element that has one or many.
pub(super) fn strings(value: &Value) -> Option<BTreeSet<String>> {
    let text = |v: &Value| match v {
        Value::String(s) => Some(s.clone()),
        Value::Bool(b) => Some(b.to_string()),
        Value::Number(n) => Some(n.to_string()),
        _ => None,
    };
    match value {
        Value::Array(list) => list.iter().map(text).collect(),
        single => text(single).map(|s| BTreeSet::from([s])),
    }
}

/// The AWS principals that a trust policy names, let in or shut out: ARNs, and ids (`AROA...`) of roles that are gone.
#[must_use]
pub fn named_aws_principals(trust: &str) -> BTreeSet<String> {
    let Some(Meaning(statements)) = meaning(trust) else { return BTreeSet::new() };
    statements.into_iter().flat_map(|s| s.principals.get("AWS").cloned().unwrap_or_default()).collect()
}

/// True where a trust policy lets a service do an action, under whatever condition.
#[must_use]
pub fn trusts_service(trust: &str, service: &str, action: &str) -> bool {
    let Some(Meaning(statements)) = meaning(trust) else { return false };
    let action = action.to_ascii_lowercase();
    statements.iter().any(|s| {
        !s.deny
            && s.principals.get("Service").is_some_and(|who| who.contains(service))
            && s.actions.iter().any(|a| *a == action || a == "sts:*" || a == "*")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_document_has_the_form_iam_takes() {
        let text = document(&[Statement::allow("GetIn", &["sts:AssumeRole", "sts:SetSourceIdentity"])
            .by("AWS", ["arn:aws:iam::444455556666:role/a".to_owned()])
            .when("Null", "aws:SourceIdentity", ["false".to_owned()])]);
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap(),
            json!({"Version": "2012-10-17", "Statement": [{
                "Sid": "GetIn", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::444455556666:role/a"},
                "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"],
                "Condition": {"Null": {"aws:SourceIdentity": "false"}}}]})
        );
    }

    #[test]
    fn form_does_not_matter_but_content_does() {
        let a = r#"{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"r"}}"#;
        let same = [
            r#"{"Version":"2012-10-17","Statement":[{"Sid":"x","Resource":["r"],"Action":["STS:assumerole"],"Effect":"Allow"}]}"#,
            r#"{"Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"r"},{"Effect":"Allow","Action":["sts:AssumeRole"],"Resource":"r"}]}"#,
        ];
        let other = [
            r#"{"Statement":{"Effect":"Deny","Action":"sts:AssumeRole","Resource":"r"}}"#,
            r#"{"Statement":{"Effect":"Allow","NotAction":"sts:AssumeRole","Resource":"r"}}"#,
            r#"{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"R"}}"#,
            r#"{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"r","Condition":{"Bool":{"k":"true"}}}}"#,
            r#"{"Statement":[]}"#,
            "not json",
        ];
        for s in same {
            assert!(same_meaning(a, s), "{s}");
        }
        for o in other {
            assert!(!same_meaning(a, o), "{o}");
        }
        assert!(!same_meaning("not json", "not json"));
    }

    fn some_statement() -> impl Strategy<Value = Statement> {
        let words = |letters: &'static str| proptest::collection::btree_set(letters, 1..4);
        (any::<bool>(), words("[a-c]"), words("[r-t]"), words("[x-z]")).prop_map(
            |(deny, actions, resources, values)| {
                let statement = Statement::allow("", &[]).on(resources).when("StringEquals", "k", values);
                Statement { deny, actions: actions.into_iter().collect(), ..statement }
            },
        )
    }

    /// As another writer might put it: lists for single values, the other way round, names on statements.
    fn another_form(document: &str) -> String {
        let mut value: Value = serde_json::from_str(document).unwrap();
        let statements = value["Statement"].as_array_mut().unwrap();
        statements.reverse();
        for (number, statement) in statements.iter_mut().enumerate() {
            statement["Sid"] = json!(format!("S{number}"));
            for key in ["Action", "Resource"] {
                let list = match statement[key].take() {
                    Value::Array(mut list) => {
                        list.reverse();
                        list
                    }
                    single => vec![single],
                };
                statement[key] = Value::Array(list);
            }
        }
        value.to_string()
    }

    proptest! {
        /// A document is drift exactly if it says something else, however it is written.
        #[test]
        fn documents_are_equal_by_what_they_say(
            these in proptest::collection::vec(some_statement(), 1..4),
            others in proptest::collection::vec(some_statement(), 1..4),
        ) {
            let (one, other) = (document(&these), document(&others));
            prop_assert!(same_meaning(&one, &another_form(&one)));
            let says = |statements: &[Statement]| {
                let sorted = |list: &[String]| list.iter().cloned().collect::<BTreeSet<_>>();
                let say = |s: &Statement| {
                    (s.deny, sorted(&s.actions), sorted(&s.resources), sorted(&s.conditions[0].2))
                };
                statements.iter().map(say).collect::<BTreeSet<_>>()
            };
            prop_assert_eq!(same_meaning(&one, &another_form(&other)), says(&these) == says(&others));
        }
    }

    #[test]
    fn the_ledger_reads_arns_and_dead_ids() {
        let trust = r#"{"Statement":[{"Effect":"Allow","Principal":{"AWS":["AROADEAD","arn:aws:iam::1:role/a"]},"Action":"sts:AssumeRole"},
            {"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::1:role/b"},"Action":"sts:AssumeRole"}]}"#;
        let named = ["AROADEAD", "arn:aws:iam::1:role/a", "arn:aws:iam::1:role/b"].map(str::to_owned);
        assert_eq!(named_aws_principals(trust), BTreeSet::from(named));
    }

    #[test]
    fn sagemaker_must_be_let_in_with_an_identity() {
        let trust = r#"{"Statement":[{"Effect":"Allow","Principal":{"Service":"sagemaker.amazonaws.com"},"Action":["sts:AssumeRole"]}]}"#;
        assert!(trusts_service(trust, "sagemaker.amazonaws.com", "sts:AssumeRole"));
        assert!(!trusts_service(trust, "sagemaker.amazonaws.com", "sts:SetSourceIdentity"));
        assert!(!trusts_service(trust, "redshift.amazonaws.com", "sts:AssumeRole"));
    }
}
