//! The text of an UNLOAD.
//!
//! Everything in it is either a constant of this file, or was checked to have a narrow form, or stands in a literal. A
//! literal is a text between single quotes with its quotes doubled. No text that goes into one has a backslash, so a reader
//! that takes backslashes for escapes and one that does not see the same literal (docs/aws-behaviour.md, What stands in a literal).

use super::query::Checked;
use super::query_error::QueryError;
use crate::api::unload::output::{Compression, Csv, Json, Output, Parquet, Text};
use crate::api::unload::rules::{self, OutputError};
use crate::api::unload::shape::{KMS_KEY_ARN, STATEMENT_MAX, is_account, is_folder, is_partition};
use std::fmt::Write;

/// Most bytes of the key prefix of an attempt: keys have 1,024, and folders of partitions and names of files follow.
const PREFIX_MAX: usize = 768;

/// Where one attempt writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    bucket: String,
    region: String,
    prefix: String,
    kms_key_arn: Option<String>,
}

/// Why there is no statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The query.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The options.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// Something that the link or the controller gave.
    #[error("{what} {value:?} is not valid: {allowed}")]
    Part {
        /// What.
        what: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// Longer than any statement may be.
    #[error(
        "the statement has {bytes} bytes, and may have {STATEMENT_MAX}: make a view of the query and select from that"
    )]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

impl Destination {
    /// The folder of one attempt: `<the link's prefix><output.path><uid>/<attempt>/`, fresh for each, so that what an
    /// attempt left behind never mixes with another's.
    ///
    /// # Errors
    /// A part is not what can stand in an S3 URL, or all of it is too long.
    pub fn new(
        bucket: &str,
        region: &str,
        link_prefix: &str,
        path: &str,
        uid: &str,
        attempt: u32,
    ) -> Result<Self, StatementError> {
        part("bucket", bucket, "name a bucket, not an access point", is_bucket(bucket))?;
        part("region", region, "name an AWS region, as in eu-west-1", is_region(region))?;
        let folders = |text: &str| text.strip_suffix('/').is_some_and(|folders| folders.split('/').all(is_folder));
        let allowed = "folders of letters, digits and ._=-, none beginning with a sign, each ending with a slash";
        part("the link's prefix", link_prefix, allowed, link_prefix.is_empty() || folders(link_prefix))?;
        part("output.path", path, allowed, folders(path))?;
        let is_uid = !uid.is_empty() && uid.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') && is_folder(uid);
        part("uid", uid, "it is that of a Kubernetes object", is_uid)?;
        part("attempt", &attempt.to_string(), "attempts are counted from 1", attempt > 0)?;
        let prefix = format!("{link_prefix}{path}{uid}/{attempt}/");
        part("output.path", path, "with the link's prefix it is too long: shorten it", prefix.len() <= PREFIX_MAX)?;
        Ok(Self { bucket: bucket.into(), region: region.into(), prefix, kms_key_arn: None })
    }

    /// The key that is used where the job names none.
    ///
    /// # Errors
    /// It is not the ARN of a key.
    pub fn with_key(mut self, kms_key_arn: &str) -> Result<Self, StatementError> {
        part("the link's kmsKeyArn", kms_key_arn, KMS_KEY_ARN.allowed, KMS_KEY_ARN.holds(kms_key_arn))?;
        self.kms_key_arn = Some(kms_key_arn.into());
        Ok(self)
    }

    /// The bucket.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The key prefix: what the attempt writes lies below it, and nothing else.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The same as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.prefix)
    }

    /// The key of the manifest.
    #[must_use]
    pub fn manifest(&self) -> String {
        format!("{}manifest", self.prefix)
    }
}

/// The UNLOAD of a query.
///
/// `roles` is the chain: the first is attached to the cluster and takes on the next. `REGION` is named where the bucket is
/// not in the region of the cluster.
///
/// # Errors
/// An option, a role or a region is not valid, or all of it is too long.
pub fn statement(
    query: &Checked,
    output: &Output,
    to: &Destination,
    roles: &[&str],
    cluster_region: &str,
) -> Result<String, StatementError> {
    rules::check(output)?;
    part("region", cluster_region, "name an AWS region, as in eu-west-1", is_region(cluster_region))?;
    part("the chain of roles", &roles.join(","), "name at least one role", !roles.is_empty())?;
    for role in roles {
        part("role", role, "it needs the ARN of an IAM role whose name has no comma", is_role_arn(role))?;
    }
    let mut sql = String::with_capacity(query.text().len() + 512);
    line(&mut sql, format_args!("UNLOAD ({})", literal(query.text())));
    line(&mut sql, format_args!("TO {}", literal(&to.url())));
    line(&mut sql, format_args!("IAM_ROLE {}", literal(&roles.join(","))));
    options(&mut sql, output, to);
    if to.region != cluster_region {
        line(&mut sql, format_args!("REGION AS {}", literal(&to.region)));
    }
    let sql = sql.trim_end().to_owned();
    let bytes = sql.len();
    if bytes > STATEMENT_MAX { Err(StatementError::TooLong { bytes }) } else { Ok(sql) }
}

/// A literal: the text between single quotes, its quotes doubled.
fn literal(text: &str) -> String {
    debug_assert!(!text.contains('\\'), "what goes into a literal was checked");
    format!("'{}'", text.replace('\'', "''"))
}

fn line(sql: &mut String, text: std::fmt::Arguments<'_>) {
    // a String takes all that is written
    let _ = writeln!(sql, "{text}");
}

fn options(sql: &mut String, output: &Output, to: &Destination) {
    if let Some(Parquet { row_group_size }) = &output.parquet {
        line(sql, format_args!("FORMAT AS PARQUET"));
        size(sql, "ROWGROUPSIZE", row_group_size.as_ref());
    }
    if let Some(Csv { delimiter, header, null_as, compression }) = &output.csv {
        line(sql, format_args!("FORMAT AS CSV"));
        text(sql, "DELIMITER", delimiter.as_ref());
        flag(sql, "HEADER", *header);
        text(sql, "NULL", null_as.as_ref());
        compress(sql, *compression);
    }
    if let Some(Json { compression }) = &output.json {
        line(sql, format_args!("FORMAT AS JSON"));
        compress(sql, *compression);
    }
    // text is the format that UNLOAD takes where none is named, and it has no name
    if let Some(Text { delimiter, header, add_quotes, escape, null_as, fixed_width, compression }) = &output.text {
        text(sql, "DELIMITER", delimiter.as_ref());
        let columns = fixed_width.as_ref().map(|columns| {
            let columns: Vec<_> = columns.iter().map(|fixed| format!("{}:{}", fixed.column, fixed.width)).collect();
            columns.join(",")
        });
        text(sql, "FIXEDWIDTH", columns.as_ref());
        flag(sql, "HEADER", *header);
        flag(sql, "ADDQUOTES", *add_quotes);
        flag(sql, "ESCAPE", *escape);
        text(sql, "NULL", null_as.as_ref());
        compress(sql, *compression);
    }
    if let Some(columns) = &output.partition_by {
        let columns: Vec<_> = columns.iter().map(|column| format!("\"{column}\"")).collect();
        let include = if output.include_partition_columns == Some(true) { " INCLUDE" } else { "" };
        line(sql, format_args!("PARTITION BY ({}){include}", columns.join(", ")));
    }
    // not a choice: success is told by the manifest
    line(sql, format_args!("MANIFEST VERBOSE"));
    match &output.encryption {
        Some(by) if by.auto == Some(true) => line(sql, format_args!("ENCRYPTED AUTO")),
        by => {
            let own = by.as_ref().and_then(|by| by.kms_key_arn.as_ref());
            if let Some(key) = own.or(to.kms_key_arn.as_ref()) {
                line(sql, format_args!("KMS_KEY_ID {} ENCRYPTED", literal(key)));
            }
        }
    }
    match output.parallel {
        Some(true) => line(sql, format_args!("PARALLEL ON")),
        Some(false) => line(sql, format_args!("PARALLEL OFF")),
        None => {}
    }
    size(sql, "MAXFILESIZE", output.max_file_size.as_ref());
    if let Some(extension) = &output.extension {
        line(sql, format_args!("EXTENSION {}", literal(extension)));
    }
}

fn text(sql: &mut String, option: &str, value: Option<&String>) {
    if let Some(value) = value {
        line(sql, format_args!("{option} AS {}", literal(value)));
    }
}

fn flag(sql: &mut String, option: &str, value: Option<bool>) {
    if value == Some(true) {
        line(sql, format_args!("{option}"));
    }
}

/// `256MB` is written as `256 MB`. It was checked to be a number and a unit.
fn size(sql: &mut String, option: &str, value: Option<&String>) {
    if let Some(value) = value {
        let (number, unit) = value.split_at(value.len() - 2);
        line(sql, format_args!("{option} AS {number} {unit}"));
    }
}

fn compress(sql: &mut String, compression: Option<Compression>) {
    match compression {
        Some(Compression::Bzip2) => line(sql, format_args!("BZIP2")),
        Some(Compression::Gzip) => line(sql, format_args!("GZIP")),
        Some(Compression::Zstd) => line(sql, format_args!("ZSTD")),
        None => {}
    }
}

fn part(what: &'static str, value: &str, allowed: &'static str, valid: bool) -> Result<(), StatementError> {
    if valid { Ok(()) } else { Err(StatementError::Part { what, value: value.into(), allowed }) }
}

/// Names of buckets. Aliases of access points look like them, and UNLOAD does not take those.
fn is_bucket(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    let ends = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    (3..=63).contains(&name.len())
        && name.bytes().all(allowed)
        && ends(name.as_bytes().first())
        && ends(name.as_bytes().last())
        && !name.contains("..")
        && !["-s3alias", "--ol-s3", "--x-s3", "--table-s3"].iter().any(|alias| name.ends_with(alias))
}

fn is_region(name: &str) -> bool {
    let mut parts = name.split('-');
    let first = parts.next().is_some_and(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_lowercase()));
    let last =
        parts.next_back().is_some_and(|part| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()));
    let between: Vec<_> = parts.collect();
    let word = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    first && last && name.len() <= 32 && !between.is_empty() && between.iter().all(word)
}

/// The ARN of a role. IAM allows commas in names, and the chain is parted by them.
fn is_role_arn(arn: &str) -> bool {
    let Some((head, name)) = arn.split_once(":role/") else { return false };
    let parts: Vec<_> = head.split(':').collect();
    let [prefix, partition, service, region, account] = parts[..] else { return false };
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"+=.@_/-".contains(&b);
    prefix == "arn"
        && is_partition(partition)
        && service == "iam"
        && region.is_empty()
        && is_account(account)
        && (1..=576).contains(&name.len())
        && name.bytes().all(allowed)
}
