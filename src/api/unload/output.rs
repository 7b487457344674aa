//! Where an UNLOAD writes, and in which form: its options, one field for each.
//!
//! What one format does not know is no field of it. `docs/unload-options.md` lists all options of UNLOAD.

use super::shape;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the result goes, and in which form.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Output {
    /// Folder below the link's prefix in its bucket, ending with a slash. Each attempt writes to a folder of its own below
    /// it, `<uid of the job>/<number of the attempt>/`; status.location names the one that counts.
    #[schemars(schema_with = "shape::path")]
    pub path: String,
    /// Apache Parquet, compressed by Snappy. Time zones of TIMESTAMPTZ are lost. `{}` takes it as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parquet: Option<Parquet>,
    /// Comma separated values, quoted where needed. `{}` takes it as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csv: Option<Csv>,
    /// One JSON object on each line. The names of the query's columns have to be unique. `{}` takes it as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Json>,
    /// Text: fields parted by a delimiter, or of fixed width. `{}` takes it as it is, parted by `|`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Text>,
    /// Columns of the query by whose values the files are parted into folders, as in `city=Turku/`, outermost first. At
    /// least one column of the query must be left. Absent: no folders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::partition_by")]
    pub partition_by: Option<Vec<String>>,
    /// Whether the columns of partitionBy stand in the files too. Readers that take them from the folders would see them
    /// twice. Absent: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_partition_columns: Option<bool>,
    /// Size above which a file is followed by another, from 5MB to 6.2GB. Parquet: at least 32MB, and rounded down to a
    /// multiple of that. Absent: 6.2 GB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::max_file_size")]
    pub max_file_size: Option<String>,
    /// Whether all slices of the cluster write side by side. False writes one file after the other, in the order of the
    /// query's ORDER BY. Absent: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel: Option<bool>,
    /// With which key S3 encrypts the files. Absent: the link's key, if it has one, else a key of S3 (SSE-S3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// What is appended to the names of files, such as `csv` or `csv.gz`; nothing is added to it for compression. Absent:
    /// only what compression and Parquet append by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::extension")]
    pub extension: Option<String>,
}

impl Output {
    /// Each file begins with a line of column names.
    #[must_use]
    pub fn has_header(&self) -> bool {
        let csv = self.csv.as_ref().and_then(|csv| csv.header);
        csv.or(self.text.as_ref().and_then(|text| text.header)) == Some(true)
    }
}

/// Apache Parquet.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Parquet {
    /// Size of row groups, from 32MB to 128MB. Only the node types ra3.4xlarge, ra3.16xlarge and dc2.8xlarge know it.
    /// Absent: 32 MB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::row_group_size")]
    pub row_group_size: Option<String>,
}

/// Comma separated values.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Csv {
    /// The one character between fields. Absent: a comma.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::delimiter")]
    pub delimiter: Option<String>,
    /// Whether each file begins with a line of column names. Absent: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// What is written for a null. Absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::null_as")]
    pub null_as: Option<String>,
    /// How files are compressed. Absent: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
}

/// JSON lines.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Json {
    /// How files are compressed. Absent: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
}

/// Text.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Text {
    /// The one character between fields. Absent: `|`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::delimiter")]
    pub delimiter: Option<String>,
    /// Whether each file begins with a line of column names. Absent: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// Whether each field stands in double quotes. Absent: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add_quotes: Option<bool>,
    /// Whether line ends, the delimiter, backslashes and, with addQuotes, quotes within fields are escaped by a backslash.
    /// AWS strongly recommends it: without it, files whose data has such characters cannot be read back. Absent: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escape: Option<bool>,
    /// What is written for a null. Absent: nothing, and with fixedWidth blanks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::null_as")]
    pub null_as: Option<String>,
    /// Fields of fixed width instead of a delimiter: each column of the query, in order. Nothing is cut off: a longer value
    /// fails the UNLOAD. Not with delimiter, header, addQuotes, escape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["column".into()]))]
    pub fixed_width: Option<Vec<FixedColumn>>,
    /// How files are compressed. Absent: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
}

/// A column of fixed width.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FixedColumn {
    /// Name of the column.
    #[schemars(schema_with = "shape::column")]
    pub column: String,
    /// Its width in bytes.
    #[schemars(range(min = 1, max = 65_535))]
    pub width: u32,
}

/// With which key S3 encrypts the files.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Encryption {
    /// ARN of the link's KMS key (SSE-KMS): the role that writes may use no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shape::kms_key_arn")]
    pub kms_key_arn: Option<String>,
    /// The KMS key that the bucket has as its default, which has to be the link's or `aws/s3`; if it has none, a key of S3
    /// (SSE-S3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto: Option<bool>,
}

/// How files are compressed. Parquet does so by itself.
#[derive(Serialize, Deserialize, JsonSchema, strum::EnumIter, Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Compression {
    Bzip2,
    Gzip,
    Zstd,
}
