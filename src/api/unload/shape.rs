//! The form of each text of a job: as a pattern for the API server, and the same again in code, which is what counts when
//! the statement is built. Tests hold both against each other.

use schemars::{Schema, SchemaGenerator, json_schema};

/// The longest statement, in bytes. The Data API takes 100 KB (docs/aws-behaviour.md, Statements); 100,000 bytes are no more
/// than that, whether K is 1,000 or 1,024.
pub const STATEMENT_MAX: usize = 100_000;

/// The form of a text.
pub struct Shape {
    /// The field, as users know it.
    pub field: &'static str,
    /// Regular expression for the API server.
    pub pattern: &'static str,
    /// Fewest characters.
    pub min: usize,
    /// Most characters; all shapes are ASCII.
    pub max: usize,
    /// What is allowed, for people.
    pub allowed: &'static str,
    /// The pattern, in code.
    matches: fn(&str) -> bool,
}

impl Shape {
    /// True for a text of this form.
    #[must_use]
    pub fn holds(&self, text: &str) -> bool {
        (self.min..=self.max).contains(&text.len()) && (self.matches)(text)
    }

    fn schema(&self) -> Schema {
        json_schema!({"type": "string", "minLength": self.min, "maxLength": self.max, "pattern": self.pattern})
    }
}

/// `output.path`. No folder begins with `.` or `_`: readers take such for hidden, and fences are kept in one.
pub const PATH: Shape = Shape {
    field: "output.path",
    pattern: "^([A-Za-z0-9][A-Za-z0-9._=-]*/)+$",
    min: 2,
    max: 512,
    allowed: "folders of letters, digits and ._=-, none beginning with a sign, each ending with a slash",
    matches: |text| text.strip_suffix('/').is_some_and(|folders| folders.split('/').all(is_folder)),
};

/// `output.maxFileSize`.
pub const MAX_FILE_SIZE: Shape = Shape {
    field: "output.maxFileSize",
    pattern: r"^[0-9]{1,4}([.][0-9]{1,3})?(MB|GB)$",
    min: 3,
    max: 10,
    allowed: "a number with up to 3 decimals and MB or GB, as in 256MB",
    matches: |text| {
        let number = text.strip_suffix("MB").or_else(|| text.strip_suffix("GB"));
        let Some(number) = number else { return false };
        let (whole, decimals) = number.split_once('.').map_or((number, None), |(whole, rest)| (whole, Some(rest)));
        is_digits(whole, 4) && decimals.is_none_or(|decimals| is_digits(decimals, 3))
    },
};

/// `output.parquet.rowGroupSize`.
pub const ROW_GROUP_SIZE: Shape = Shape {
    field: "output.parquet.rowGroupSize",
    pattern: "^[0-9]{2,3}MB$",
    min: 4,
    max: 5,
    allowed: "a whole number and MB, as in 64MB",
    matches: |text| text.strip_suffix("MB").is_some_and(|number| is_digits(number, 3)),
};

/// `delimiter` of CSV and text: not what quotes, escapes or ends a line.
pub const DELIMITER: Shape = Shape {
    field: "delimiter",
    pattern: r"^[\t !#$%&(-\[\]-~]$",
    min: 1,
    max: 1,
    allowed: "one printable ASCII character or a tab, but no quote and no backslash",
    matches: |text| text == "\t" || is_printable(text) && text != "\"",
};

/// `nullAs` of CSV and text.
pub const NULL_AS: Shape = Shape {
    field: "nullAs",
    pattern: r"^[ -&(-\[\]-~]*$",
    min: 0,
    max: 64,
    allowed: "printable ASCII characters, but no single quote and no backslash",
    matches: is_printable,
};

/// `output.extension`.
pub const EXTENSION: Shape = Shape {
    field: "output.extension",
    pattern: "^[A-Za-z0-9][A-Za-z0-9._-]*$",
    min: 1,
    max: 32,
    allowed: "letters, digits and ._-, beginning with a letter or digit",
    matches: |text| is_name(text, "._-"),
};

/// A column: of `partitionBy`, of `fixedWidth`.
pub const COLUMN: Shape = Shape {
    field: "a column",
    pattern: "^[A-Za-z_][A-Za-z0-9_]*$",
    min: 1,
    max: 127,
    allowed: "letters, digits and _, beginning with no digit",
    matches: |text| {
        !text.starts_with(|c: char| c.is_ascii_digit()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    },
};

/// `output.encryption.kmsKeyArn`: the ARN, for an alias or a bare id is looked for in the writing role's account.
pub const KMS_KEY_ARN: Shape = Shape {
    field: "output.encryption.kmsKeyArn",
    pattern: "^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$",
    min: 1,
    max: 256,
    allowed: "the ARN of a key, as in arn:aws:kms:eu-west-1:111122223333:key/...",
    matches: |text| {
        let Some((head, key)) = text.split_once(":key/") else { return false };
        let parts: Vec<_> = head.split(':').collect();
        let [arn, partition, service, region, account] = parts[..] else { return false };
        arn == "arn"
            && is_partition(partition)
            && service == "kms"
            && !region.is_empty()
            && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && is_account(account)
            && !key.is_empty()
            && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    },
};

/// All of them, for the tests.
#[cfg(test)]
pub const ALL: [&Shape; 8] =
    [&PATH, &MAX_FILE_SIZE, &ROW_GROUP_SIZE, &DELIMITER, &NULL_AS, &EXTENSION, &COLUMN, &KMS_KEY_ARN];

/// True for `aws`, `aws-cn` and the like.
#[must_use]
pub fn is_partition(text: &str) -> bool {
    text.strip_prefix("aws").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
}

/// True for the twelve digits of an account.
#[must_use]
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// True for a name of letters, digits and the signs, that begins with no sign.
fn is_name(text: &str, signs: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || signs.contains(c))
}

/// True for one folder of a path.
#[must_use]
pub fn is_folder(text: &str) -> bool {
    is_name(text, "._=-")
}

fn is_digits(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'\'' && b != b'\\')
}

pub(super) fn object_name(_: &mut SchemaGenerator) -> Schema {
    let pattern = "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$";
    json_schema!({"type": "string", "minLength": 1, "maxLength": 253, "pattern": pattern})
}
pub(super) fn path(_: &mut SchemaGenerator) -> Schema {
    PATH.schema()
}
pub(super) fn max_file_size(_: &mut SchemaGenerator) -> Schema {
    MAX_FILE_SIZE.schema()
}
pub(super) fn row_group_size(_: &mut SchemaGenerator) -> Schema {
    ROW_GROUP_SIZE.schema()
}
pub(super) fn delimiter(_: &mut SchemaGenerator) -> Schema {
    DELIMITER.schema()
}
pub(super) fn null_as(_: &mut SchemaGenerator) -> Schema {
    NULL_AS.schema()
}
pub(super) fn extension(_: &mut SchemaGenerator) -> Schema {
    EXTENSION.schema()
}
pub(super) fn column(_: &mut SchemaGenerator) -> Schema {
    COLUMN.schema()
}
pub(super) fn partition_by(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "items": COLUMN.schema(), "minItems": 1, "maxItems": 16, "x-kubernetes-list-type": "atomic"})
}
pub(super) fn kms_key_arn(_: &mut SchemaGenerator) -> Schema {
    KMS_KEY_ARN.schema()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::string::string_regex;

    /// The pattern of the API server and the code agree on what the pattern makes.
    #[test]
    fn what_a_pattern_makes_is_taken_in_code() {
        for shape in ALL {
            let made = string_regex(shape.pattern.trim_start_matches('^').trim_end_matches('$')).unwrap();
            proptest!(|(text in made)| {
                let fits = (shape.min..=shape.max).contains(&text.len());
                prop_assert_eq!(shape.holds(&text), fits, "{}: {:?}", shape.field, text);
            });
        }
    }

    #[test]
    fn what_no_pattern_makes_is_refused_in_code() {
        let bad: [(&Shape, &[&str]); 8] = [
            (&PATH, &["", "/", "a", "/a/", "a//b/", "_a/", ".a/", "../", "a b/", "a'/", "a/../", "ä/", "a\n/", "-a/"]),
            (
                &MAX_FILE_SIZE,
                &[
                    "", "MB", "5", "5mb", "5 MB", ".5MB", "5.MB", "5.0001MB", "12345MB", "-5MB", "5e3MB", "5KB",
                    "5.5.5MB",
                ],
            ),
            (&ROW_GROUP_SIZE, &["", "MB", "1MB", "64", "64GB", "64.5MB", "1000MB"]),
            (&DELIMITER, &["", "'", "\"", "\\", "\n", "\r", "||", "ä", "\u{7f}", "\0"]),
            (&NULL_AS, &["'", "\\N", "\t", "\n", "ä", "\u{200b}"]),
            (&EXTENSION, &["", ".csv", "c v", "a/b", "a'", "ä"]),
            (&COLUMN, &["", "1a", "a b", "a\"", "a.b", "ä", "a$", "a-b"]),
            (
                &KMS_KEY_ARN,
                &[
                    "",
                    "alias/x",
                    "arn:aws:kms:eu-west-1:111122223333:alias/x",
                    "arn:aws:kms:eu-west-1:1111:key/x",
                    "arn:aws:kms::111122223333:key/x",
                    "arn:aws:kms:eu-west-1:111122223333:key/",
                    "arn:aws:kms:eu-west-1:111122223333:key/a'b",
                    "arn:bws:kms:eu-west-1:111122223333:key/x",
                    "arn:aws:s3:eu-west-1:111122223333:key/x",
                    "arn:aws:kms:eu-west-1:x:111122223333:key/x",
                ],
            ),
        ];
        for (shape, texts) in bad {
            for text in texts {
                assert!(!shape.holds(text), "{}: {text:?}", shape.field);
            }
            assert!(!shape.holds(&"a".repeat(shape.max + 1)), "{}", shape.field);
        }
    }
}
