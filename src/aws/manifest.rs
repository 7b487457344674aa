//! The manifest of an UNLOAD: what the warehouse says it has written (docs/aws-behaviour.md#unload).

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufReader, Read};

/// More files than this are not taken in: a million, of which a job's status could not be checked in memory.
const MOST_FILES: usize = 1_000_000;

/// What a manifest says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Bytes of each file, by its URL.
    pub files: BTreeMap<String, u64>,
    /// Rows of all files together, header lines included.
    pub rows: u64,
    /// Bytes of all files together.
    pub bytes: u64,
}

/// Reads a manifest as it comes.
///
/// # Errors
/// It is not a manifest, with what is wrong.
pub fn read(from: impl Read) -> Result<Manifest, String> {
    let mut manifest = Manifest::default();
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(WithoutSchema::new(from)));
    Whole(&mut manifest).deserialize(&mut json).map_err(|error| error.to_string())?;
    json.end().map_err(|error| error.to_string())?;
    Ok(manifest)
}

/// A manifest with null for its schema. What AWS prints of it is not always JSON (docs/aws-behaviour.md#unload), and
/// nothing is read of it.
struct WithoutSchema<R> {
    from: R,
    chunk: Box<[u8]>,
    out: Vec<u8>,
    /// So much of `out` was given.
    given: usize,
    depth: usize,
    in_text: bool,
    escaped: bool,
    /// The last text at the top, as far as it may be the key.
    text: Vec<u8>,
    skips: bool,
}

const SCHEMA: &[u8] = b"schema";

impl<R: Read> WithoutSchema<R> {
    fn new(from: R) -> Self {
        Self {
            from,
            chunk: vec![0; 16 * 1024].into(),
            out: vec![],
            given: 0,
            depth: 0,
            in_text: false,
            escaped: false,
            text: vec![],
            skips: false,
        }
    }

    fn take(&mut self, byte: u8) {
        let ends = self.depth == 1 && !self.in_text && matches!(byte, b',' | b'}');
        if self.skips && ends {
            self.skips = false;
        }
        if !self.skips {
            self.out.push(byte);
        }
        if self.in_text {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_text = false,
                _ if self.depth == 1 && self.text.len() <= SCHEMA.len() => self.text.push(byte),
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => {
                self.in_text = true;
                self.text.clear();
            }
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            b':' if self.depth == 1 && !self.skips && self.text == SCHEMA => {
                self.skips = true;
                self.out.extend(b"null");
            }
            _ => {}
        }
    }
}

impl<R: Read> Read for WithoutSchema<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while self.given == self.out.len() {
            self.out.clear();
            self.given = 0;
            let read = self.from.read(&mut self.chunk)?;
            if read == 0 {
                return Ok(0);
            }
            let chunk = std::mem::take(&mut self.chunk);
            chunk[..read].iter().for_each(|byte| self.take(*byte));
            self.chunk = chunk;
        }
        let count = into.len().min(self.out.len() - self.given);
        into[..count].copy_from_slice(&self.out[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

/// Of a file, or of all.
#[derive(Deserialize)]
struct Meta {
    content_length: u64,
    record_count: u64,
}

#[derive(Deserialize)]
struct Entry {
    url: String,
    meta: Meta,
}

struct Whole<'a>(&'a mut Manifest);

impl<'de> DeserializeSeed<'de> for Whole<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Whole<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a manifest")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        use serde::de::Error;
        let (mut entries, mut total) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "entries" => entries = Some(map.next_value_seed(Entries(self.0))?),
                "meta" => total = Some(map.next_value::<Meta>()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let rows = entries.ok_or_else(|| A::Error::custom("it has no entries"))?;
        let total = total.ok_or_else(|| A::Error::custom("it has no meta"))?;
        let bytes = self.0.files.values().try_fold(0_u64, |sum, size| sum.checked_add(*size));
        if Some(total.content_length) != bytes || total.record_count != rows {
            return Err(A::Error::custom("its sums are not those of its entries"));
        }
        (self.0.rows, self.0.bytes) = (total.record_count, total.content_length);
        Ok(())
    }
}

struct Entries<'a>(&'a mut Manifest);

impl<'de> DeserializeSeed<'de> for Entries<'_> {
    /// Rows of all entries.
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<u64, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<u64, A::Error> {
        use serde::de::Error;
        let mut rows = 0_u64;
        while let Some(Entry { url, meta }) = entries.next_element()? {
            rows =
                rows.checked_add(meta.record_count).ok_or_else(|| A::Error::custom("more rows than can be counted"))?;
            if self.0.files.insert(url.clone(), meta.content_length).is_some() {
                return Err(A::Error::custom(format!("it lists {url} twice")));
            }
            if self.0.files.len() > MOST_FILES {
                return Err(A::Error::custom(format!("it lists more than {MOST_FILES} files")));
            }
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(entries: &str, bytes: u64, rows: u64) -> String {
        format!(
            r#"{{"entries":[{entries}],"schema":{{"elements":[{{"name":"id","type":{{"base":"integer"}}}},{{"type":{{"base":"varchar",25}}}}]}},
            "meta":{{"content_length":{bytes},"record_count":{rows}}},"author":{{"name":"Amazon Redshift","version":"1.0.0"}}}}"#
        )
    }

    /// The sample of AWS has a bare length in a type; texts in a schema may have anything in them.
    #[test]
    fn a_schema_that_is_no_json_is_passed_over() {
        let text = manifest(&entry("a", 5, 2), 5, 2);
        for schema in ["{\"a\":{\"b\",25}}", "\"},\\\"{[\"", "[1,,{]", "x", "null", "{\"schema\":{\"a\"}}"] {
            let start = text.find("{\"elements\"").unwrap();
            let end = text.find(",\n").unwrap();
            let found = read(format!("{}{schema}{}", &text[..start], &text[end..]).as_bytes());
            let fits = schema != "[1,,{]";
            assert_eq!(found.as_ref().map(|found| found.rows).ok(), fits.then_some(2), "{schema}: {found:?}");
        }
        // only the schema of the whole, and wherever a read ends
        let nested = manifest(&entry("schema", 5, 2).replace("\"url\"", "\"schema\":{},\"url\""), 5, 2);
        struct Slow<'a>(&'a [u8]);
        impl Read for Slow<'_> {
            fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
                let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
                into[0] = *first;
                self.0 = rest;
                Ok(1)
            }
        }
        assert_eq!(read(Slow(nested.as_bytes())).unwrap().files.len(), 1);
        assert!(read(text.replace("\"record_count\":2}}]", "\"record_count\",2}}]").as_bytes()).is_err());
    }

    fn entry(name: &str, bytes: u64, rows: u64) -> String {
        format!(r#"{{"url":"s3://b/{name}","meta":{{"content_length":{bytes},"record_count":{rows}}}}}"#)
    }

    #[test]
    fn files_rows_and_bytes_are_read() {
        let text = manifest(&[entry("a", 5, 2), entry("b", 7, 3)].join(","), 12, 5);
        let found = read(text.as_bytes()).unwrap();
        assert_eq!(found.files, BTreeMap::from([("s3://b/a".into(), 5), ("s3://b/b".into(), 7)]));
        assert_eq!((found.rows, found.bytes), (5, 12));
    }

    #[test]
    fn what_is_no_manifest_is_refused_with_why() {
        let two = [entry("a", 5, 2), entry("a", 7, 3)].join(",");
        let good = manifest(&entry("a", 5, 2), 5, 2);
        for (text, says) in [
            (manifest(&two, 12, 5), "twice"),
            (manifest(&entry("a", 5, 2), 6, 2), "sums"),
            (manifest(&entry("a", 5, 2), 5, 3), "sums"),
            (r#"{"meta":{"content_length":0,"record_count":0}}"#.to_owned(), "no entries"),
            (r#"{"entries":[]}"#.to_owned(), "no meta"),
            (good[..good.len() - 1].to_owned(), "EOF"),
            (format!("{good}x"), "trailing"),
            (good.replace("\"record_count\"", "\"records\""), "record_count"),
            (good.replace(":5,", ":-5,"), "-5"),
            ("[]".to_owned(), "manifest"),
        ] {
            let error = read(text.as_bytes()).expect_err(&text);
            assert!(error.contains(says), "{error}: {text}");
        }
    }
}
