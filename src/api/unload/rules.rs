//! What options of UNLOAD do not go together: one table, from which the API server's rules are made and which the code
//! asks again before it builds a statement.
//!
//! The sources stand in docs/aws-behaviour.md, The statement of an UNLOAD.

use super::output::{Output, Text};
use super::shape::{self, Shape};
use kube::core::Rule;

/// One rule for `output`.
pub struct OutputRule {
    /// The rule for the API server, where `self` is the output.
    cel: &'static str,
    /// What is wrong, and what to do.
    pub message: &'static str,
    /// The same in code.
    holds: fn(&Output) -> bool,
}

/// The rule for the API server.
pub(super) fn cel(rule: &OutputRule) -> Rule {
    Rule::new(rule.cel).message(rule.message)
}

/// Exactly one format.
pub const ONE_FORMAT: OutputRule = OutputRule {
    cel: "[has(self.parquet), has(self.csv), has(self.json), has(self.text)].filter(given, given).size() == 1",
    message: "exactly one of parquet, csv, json and text must be given",
    holds: |output| {
        let given = [output.parquet.is_some(), output.csv.is_some(), output.json.is_some(), output.text.is_some()];
        given.into_iter().filter(|given| *given).count() == 1
    },
};

/// MAXFILESIZE has bounds.
pub const FILE_SIZE: OutputRule = OutputRule {
    cel: "!has(self.maxFileSize) || ((self.maxFileSize.endsWith('GB') ? double(self.maxFileSize.replace('GB', '')) * 1000.0 : double(self.maxFileSize.replace('MB', ''))) >= 5.0 && (self.maxFileSize.endsWith('GB') ? double(self.maxFileSize.replace('GB', '')) * 1000.0 : double(self.maxFileSize.replace('MB', ''))) <= 6200.0)",
    message: "maxFileSize is from 5MB to 6.2GB",
    holds: |output| output.max_file_size.as_ref().is_none_or(|size| (5.0..=6200.0).contains(&megabytes(size))),
};

/// Parquet files are whole numbers of 32 MB.
pub const PARQUET_FILE_SIZE: OutputRule = OutputRule {
    cel: "!has(self.parquet) || !has(self.maxFileSize) || (self.maxFileSize.endsWith('GB') ? double(self.maxFileSize.replace('GB', '')) * 1000.0 : double(self.maxFileSize.replace('MB', ''))) >= 32.0",
    message: "with parquet, maxFileSize is at least 32MB: it is rounded down to a multiple of that",
    holds: |output| {
        output.parquet.is_none() || output.max_file_size.as_ref().is_none_or(|size| megabytes(size) >= 32.0)
    },
};

/// ROWGROUPSIZE has bounds.
pub const ROW_GROUP_SIZE: OutputRule = OutputRule {
    cel: "!has(self.parquet) || !has(self.parquet.rowGroupSize) || (double(self.parquet.rowGroupSize.replace('MB', '')) >= 32.0 && double(self.parquet.rowGroupSize.replace('MB', '')) <= 128.0)",
    message: "rowGroupSize is from 32MB to 128MB",
    holds: |output| row_group(output).is_none_or(|size| (32.0..=128.0).contains(&megabytes(size))),
};

/// A file holds at least one row group.
pub const ROW_GROUP_FITS: OutputRule = OutputRule {
    cel: "!has(self.parquet) || !has(self.parquet.rowGroupSize) || !has(self.maxFileSize) || double(self.parquet.rowGroupSize.replace('MB', '')) <= (self.maxFileSize.endsWith('GB') ? double(self.maxFileSize.replace('GB', '')) * 1000.0 : double(self.maxFileSize.replace('MB', '')))",
    message: "rowGroupSize is no more than maxFileSize: a file holds at least one row group",
    holds: |output| {
        let both = row_group(output).zip(output.max_file_size.as_ref());
        both.is_none_or(|(group, file)| megabytes(group) <= megabytes(file))
    },
};

/// FIXEDWIDTH excludes DELIMITER.
pub const FIXED_WIDTH_DELIMITER: OutputRule = OutputRule {
    cel: "!has(self.text) || !has(self.text.fixedWidth) || !has(self.text.delimiter)",
    message: "fixedWidth does not go with delimiter: give one of them",
    holds: |output| fixed_width(output).is_none_or(|text| text.delimiter.is_none()),
};

/// FIXEDWIDTH excludes HEADER.
pub const FIXED_WIDTH_HEADER: OutputRule = OutputRule {
    cel: "!has(self.text) || !has(self.text.fixedWidth) || !has(self.text.header) || !self.text.header",
    message: "fixedWidth does not go with header: leave one of them out",
    holds: |output| fixed_width(output).is_none_or(|text| text.header != Some(true)),
};

/// FIXEDWIDTH has nothing to quote.
pub const FIXED_WIDTH_QUOTES: OutputRule = OutputRule {
    cel: "!has(self.text) || !has(self.text.fixedWidth) || !has(self.text.addQuotes) || !self.text.addQuotes",
    message: "fixedWidth does not go with addQuotes: leave one of them out",
    holds: |output| fixed_width(output).is_none_or(|text| text.add_quotes != Some(true)),
};

/// FIXEDWIDTH has nothing to escape.
pub const FIXED_WIDTH_ESCAPE: OutputRule = OutputRule {
    cel: "!has(self.text) || !has(self.text.fixedWidth) || !has(self.text.escape) || !self.text.escape",
    message: "fixedWidth does not go with escape: leave one of them out",
    holds: |output| fixed_width(output).is_none_or(|text| text.escape != Some(true)),
};

/// KMS_KEY_ID excludes AUTO.
pub const ONE_ENCRYPTION: OutputRule = OutputRule {
    cel: "!has(self.encryption) || has(self.encryption.kmsKeyArn) != (has(self.encryption.auto) && self.encryption.auto)",
    message: "encryption is either kmsKeyArn or auto: true; leave encryption out for the link's key or SSE-S3",
    holds: |output| output.encryption.as_ref().is_none_or(|by| by.kms_key_arn.is_some() != (by.auto == Some(true))),
};

/// Redshift takes column names in any case.
pub const PARTITION_COLUMNS: OutputRule = OutputRule {
    cel: "!has(self.partitionBy) || self.partitionBy.all(one, self.partitionBy.exists_one(other, other.lowerAscii() == one.lowerAscii()))",
    message: "partitionBy names each column once, upper and lower case being the same",
    holds: |output| {
        let columns: Vec<_> = output.partition_by.iter().flatten().map(|column| column.to_ascii_lowercase()).collect();
        columns.iter().enumerate().all(|(index, column)| !columns[..index].contains(column))
    },
};

/// INCLUDE belongs to PARTITION BY.
pub const INCLUDE_PARTITIONS: OutputRule = OutputRule {
    cel: "!has(self.includePartitionColumns) || !self.includePartitionColumns || has(self.partitionBy)",
    message: "includePartitionColumns needs partitionBy",
    holds: |output| output.include_partition_columns != Some(true) || output.partition_by.is_some(),
};

/// All rules.
pub const ALL: [&OutputRule; 12] = [
    &ONE_FORMAT,
    &FILE_SIZE,
    &PARQUET_FILE_SIZE,
    &ROW_GROUP_SIZE,
    &ROW_GROUP_FITS,
    &FIXED_WIDTH_DELIMITER,
    &FIXED_WIDTH_HEADER,
    &FIXED_WIDTH_QUOTES,
    &FIXED_WIDTH_ESCAPE,
    &ONE_ENCRYPTION,
    &PARTITION_COLUMNS,
    &INCLUDE_PARTITIONS,
];

/// Why an output cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    /// A text has another form.
    #[error("{field} {value:?} is not valid: write {allowed}")]
    Shape {
        /// Which field.
        field: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// Two options do not go together.
    #[error("output: {0}")]
    Rule(&'static str),
}

/// A list of `fixedWidth` is a map for the API server, which says so in its own words.
const FIXED_WIDTH_ONCE: &str = "fixedWidth names each column once";

/// Checks what the API server has checked, once more: an object may have been stored under other rules.
///
/// # Errors
/// The first text of another form, or the first rule that is broken.
pub fn check(output: &Output) -> Result<(), OutputError> {
    for (shape, value) in texts(output) {
        if !shape.holds(value) {
            return Err(OutputError::Shape { field: shape.field, value: value.into(), allowed: shape.allowed });
        }
    }
    let fixed: Vec<_> = fixed_width(output).into_iter().flat_map(|text| text.fixed_width.iter().flatten()).collect();
    if fixed.iter().enumerate().any(|(index, one)| fixed[..index].iter().any(|other| other.column == one.column)) {
        return Err(OutputError::Rule(FIXED_WIDTH_ONCE));
    }
    let broken = ALL.iter().find(|rule| !(rule.holds)(output));
    broken.map_or(Ok(()), |rule| Err(OutputError::Rule(rule.message)))
}

/// Each text of an output, with the form that it has to have.
fn texts(output: &Output) -> Vec<(&'static Shape, &str)> {
    let (text, csv) = (output.text.as_ref(), output.csv.as_ref());
    let delimiters = [text.and_then(|t| t.delimiter.as_ref()), csv.and_then(|c| c.delimiter.as_ref())];
    let nulls = [text.and_then(|t| t.null_as.as_ref()), csv.and_then(|c| c.null_as.as_ref())];
    let fixed = text.and_then(|t| t.fixed_width.as_ref()).into_iter().flatten().map(|column| &column.column);
    let columns = output.partition_by.iter().flatten().chain(fixed);
    let key = output.encryption.as_ref().and_then(|by| by.kms_key_arn.as_ref());
    let mut texts: Vec<(&Shape, &str)> = vec![(&shape::PATH, &output.path)];
    texts.extend(output.max_file_size.iter().map(|size| (&shape::MAX_FILE_SIZE, size.as_str())));
    texts.extend(row_group(output).map(|size| (&shape::ROW_GROUP_SIZE, size)));
    texts.extend(delimiters.into_iter().flatten().map(|delimiter| (&shape::DELIMITER, delimiter.as_str())));
    texts.extend(nulls.into_iter().flatten().map(|null| (&shape::NULL_AS, null.as_str())));
    texts.extend(columns.map(|column| (&shape::COLUMN, column.as_str())));
    texts.extend(key.map(|key| (&shape::KMS_KEY_ARN, key.as_str())));
    texts.extend(output.extension.iter().map(|extension| (&shape::EXTENSION, extension.as_str())));
    texts
}

fn row_group(output: &Output) -> Option<&str> {
    output.parquet.as_ref()?.row_group_size.as_deref()
}

/// The text format, where it has columns of fixed width.
fn fixed_width(output: &Output) -> Option<&Text> {
    output.text.as_ref().filter(|text| text.fixed_width.is_some())
}

/// A size in MB, as the API server's rules reckon it; 0 for what is none.
fn megabytes(size: &str) -> f64 {
    let number = |unit| size.strip_suffix(unit).and_then(|number| number.parse::<f64>().ok());
    number("GB").map(|gigabytes| gigabytes * 1000.0).or_else(|| number("MB")).unwrap_or_default()
}
