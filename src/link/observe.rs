//! Reads what a computation asks for, until it asks for nothing more.

use super::plan::Unread;
use crate::aws::moment::Freshness;
use crate::aws::read::{Read, Seen};
use crate::aws::shared::SharedReads;

/// Computes with what was seen; where something is unread, reads all of that side by side and computes again.
///
/// Each round answers every question of the one before, and refusals are answers too, so it ends.
pub async fn observe<T>(
    reads: &SharedReads,
    seen: &mut Seen,
    fresh: impl Fn(&Read) -> Freshness,
    compute: impl Fn(&Seen) -> Result<T, Unread>,
) -> T {
    loop {
        match compute(seen) {
            Ok(computed) => return computed,
            Err(unread) => {
                for answer in reads.look(unread, &fresh).await {
                    seen.insert(answer);
                }
            }
        }
    }
}
