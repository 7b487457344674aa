//! Is what lies in the bucket what the warehouse says it has written?

use super::statement::Destination;
use crate::aws::manifest::Manifest;
use crate::aws::model::Listing;
use std::collections::BTreeSet;

/// So many keys are named in a message.
const NAMED: usize = 3;

/// What an UNLOAD wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows, header lines included.
    pub rows: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Files.
    pub files: u64,
}

/// Why an output is no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no manifest, although something was written.
    Missing(String),
    /// Files and manifest differ.
    Mismatch(String),
}

/// Compares files and manifest. Without a manifest there were no rows, of which files tell, and what the API counts.
///
/// # Errors
/// They differ, with how.
pub fn verify(
    to: &Destination,
    listing: &Listing,
    manifest: Option<&Result<Manifest, String>>,
    rows: Option<u64>,
) -> Result<Written, Fault> {
    let folder = to.url();
    let manifest = match manifest {
        Some(Ok(manifest)) => manifest,
        Some(Err(error)) => return Err(Fault::Mismatch(format!("{folder}manifest cannot be read: {error}"))),
        None => return empty(&folder, listing, rows),
    };
    let own = to.manifest();
    let (mut faults, mut listed) = (vec![], BTreeSet::new());
    for (url, size) in &manifest.files {
        let key = url.strip_prefix(&folder).map(|rest| format!("{}{rest}", to.prefix()));
        match key.as_ref().map(|key| (key, listing.objects.get(key))) {
            None => faults.push(format!("the manifest lists {url}, which is elsewhere")),
            Some((_, None)) => faults.push(format!("{url} is missing")),
            Some((_, Some(object))) if object.size != *size => {
                faults.push(format!("{url} has {} bytes, and {size} in the manifest", object.size));
            }
            Some((key, Some(_))) => drop(listed.insert(key.clone())),
        }
    }
    let more = listing.objects.keys().filter(|key| **key != own && !listed.contains(*key));
    let known = |key: &&String| !manifest.files.keys().any(|url| url.ends_with(key.as_str()));
    // what differs in size was named above
    faults.extend(more.filter(known).map(|key| format!("{key} is not in the manifest")));
    if !faults.is_empty() {
        let more = faults.len().saturating_sub(NAMED);
        faults.truncate(NAMED);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        return Err(Fault::Mismatch(format!("{}{more}", faults.join("; "))));
    }
    Ok(Written { rows: manifest.rows, bytes: manifest.bytes, files: manifest.files.len() as u64 })
}

/// An UNLOAD without rows writes no manifest (docs/aws-behaviour.md#unload).
fn empty(folder: &str, listing: &Listing, rows: Option<u64>) -> Result<Written, Fault> {
    if let Some((key, object)) = listing.objects.iter().find(|(_, object)| object.size > 0) {
        let message = format!("{key} has {} bytes, and there is no manifest below {folder}", object.size);
        return Err(Fault::Missing(message));
    }
    match rows {
        Some(rows) if rows > 0 => {
            Err(Fault::Missing(format!("the warehouse counts {rows} rows, and there is nothing below {folder}")))
        }
        Some(_) | None => Ok(Written::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::model::Object;
    use k8s_openapi::jiff::Timestamp;
    use std::collections::BTreeMap;

    fn to() -> Destination {
        Destination::new("exports", "eu-west-1", "w/", "p/", "00000000-0000-4000-8000-000000000001", 1).unwrap()
    }

    fn listing(objects: &[(&str, u64)]) -> Listing {
        let object = |size| Object { size, modified: Timestamp::UNIX_EPOCH };
        let objects = objects.iter().map(|(name, size)| (format!("{}{name}", to().prefix()), object(*size)));
        Listing { as_of: Timestamp::UNIX_EPOCH, objects: objects.collect() }
    }

    fn manifest(files: &[(&str, u64)]) -> Manifest {
        let files: BTreeMap<_, _> = files.iter().map(|(url, size)| (url.replace("~/", &to().url()), *size)).collect();
        Manifest { rows: 7, bytes: files.values().sum(), files }
    }

    #[test]
    fn files_as_listed_are_a_result() {
        let found = listing(&[("0000_part_00", 5), ("city=a/0001_part_00", 7), ("manifest", 99)]);
        let said = manifest(&[("~/0000_part_00", 5), ("~/city=a/0001_part_00", 7)]);
        assert_eq!(verify(&to(), &found, Some(&Ok(said)), None), Ok(Written { rows: 7, bytes: 12, files: 2 }));
    }

    type Files<'a> = &'a [(&'a str, u64)];

    #[test]
    fn whatever_differs_is_no_result() {
        let one = [("~/a", 5)];
        let rows: [(Files<'_>, Files<'_>, &str); 6] = [
            (&[("manifest", 9)], &one, "missing"),
            (&[("a", 4), ("manifest", 9)], &one, "4 bytes, and 5"),
            (&[("a", 5), ("b", 1), ("manifest", 9)], &one, "not in the manifest"),
            (&[("a", 5), ("b", 0), ("manifest", 9)], &one, "not in the manifest"),
            (&[("a", 5), ("manifest", 9)], &[("~/a", 5), ("s3://other/a", 5)], "elsewhere"),
            (&[("a", 5), ("manifest", 9)], &[("~/a", 5), ("s3://exports/w/p/x", 5)], "elsewhere"),
        ];
        for (files, said, says) in rows {
            let Err(Fault::Mismatch(message)) = verify(&to(), &listing(files), Some(&Ok(manifest(said))), None) else {
                panic!("{says}");
            };
            assert!(message.contains(says), "{message}");
        }
        let many: Vec<_> = ["a", "b", "c", "d", "e"].iter().map(|name| (*name, 1)).collect();
        let Err(Fault::Mismatch(message)) = verify(&to(), &listing(&many), Some(&Ok(manifest(&[]))), None) else {
            panic!();
        };
        assert!(message.ends_with("and 2 more"), "{message}");
    }

    #[test]
    fn without_a_manifest_there_were_no_rows_or_it_is_missing() {
        assert_eq!(verify(&to(), &listing(&[]), None, None), Ok(Written::default()));
        assert_eq!(verify(&to(), &listing(&[("0000_part_00", 0)]), None, Some(0)), Ok(Written::default()));
        for (files, rows) in [(&[("a", 1)][..], None), (&[], Some(3))] {
            assert!(matches!(verify(&to(), &listing(files), None, rows), Err(Fault::Missing(_))), "{files:?} {rows:?}");
        }
        let unread = Err("EOF".to_owned());
        assert!(matches!(verify(&to(), &listing(&[]), Some(&unread), None), Err(Fault::Mismatch(_))));
    }
}
