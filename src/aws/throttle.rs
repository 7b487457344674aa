//! One token bucket per account, region and API, shared by all loops, which shrinks when AWS throttles.

use super::error::{Operation, Service};
use super::scope::{AccountId, Region};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The rate never falls below this share of what it may be.
const LEAST: f64 = 0.05;
/// What each call that was not throttled gives back of the rate.
const RECOVERY: f64 = 0.02;

/// All buckets.
#[derive(Default)]
pub struct Buckets(Mutex<HashMap<Key, Bucket>>);

type Key = (AccountId, Option<Region>, Operation);

struct Bucket {
    most: f64,
    rate: f64,
    burst: f64,
    tokens: f64,
    filled: Instant,
}

/// Calls per second, and at once. About half of what AWS gives, where that is published, for the account is shared
/// with everybody else in it (docs/aws-behaviour.md#throttling).
const fn limit(operation: Operation, writes: bool) -> (f64, f64) {
    match (operation.service, writes) {
        (Service::Ec2, false) => (10.0, 50.0),
        (Service::Ec2, true) => (4.0, 25.0),
        (Service::Iam, false) => (15.0, 60.0),
        (Service::Iam, true) => (8.0, 40.0),
        (Service::Sts, _) => (20.0, 100.0),
        // thousands a second, for each prefix
        (Service::S3, _) => (100.0, 200.0),
        (Service::RedshiftData, _) => match operation.name.as_bytes() {
            b"DescribeStatement" => (50.0, 50.0),
            b"ExecuteStatement" => (15.0, 15.0),
            _ => (3.0, 10.0),
        },
        (Service::Redshift | Service::SageMaker | Service::Kms | Service::SecretsManager, _) => (5.0, 40.0),
    }
}

impl Buckets {
    /// How long to wait before the next call: its token is taken already. None where that would be longer than
    /// `patience`; then no token was taken.
    #[must_use]
    pub fn take(
        &self,
        place: (&AccountId, Option<&Region>),
        operation: Operation,
        writes: bool,
        patience: Duration,
    ) -> Option<Duration> {
        self.with(place, operation, writes, |bucket| {
            bucket.fill();
            let wait = Duration::from_secs_f64((1.0 - bucket.tokens).max(0.0) / bucket.rate);
            if wait > patience {
                return None;
            }
            bucket.tokens -= 1.0;
            Some(wait)
        })
    }

    /// AWS answered, and throttled the call or not.
    pub fn answered(&self, place: (&AccountId, Option<&Region>), operation: Operation, writes: bool, throttled: bool) {
        self.with(place, operation, writes, |bucket| {
            bucket.fill();
            if throttled {
                bucket.rate = (bucket.rate / 2.0).max(bucket.most * LEAST);
                bucket.tokens = bucket.tokens.min(0.0);
            } else {
                bucket.rate = (bucket.rate + bucket.most * RECOVERY).min(bucket.most);
            }
        });
    }

    fn with<T>(
        &self,
        (account, region): (&AccountId, Option<&Region>),
        operation: Operation,
        writes: bool,
        f: impl FnOnce(&mut Bucket) -> T,
    ) -> T {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (account.clone(), region.cloned(), operation);
        let (most, burst) = limit(operation, writes);
        let full = || Bucket { most, rate: most, burst, tokens: burst, filled: Instant::now() };
        f(buckets.entry(key).or_insert_with(full))
    }
}

impl Bucket {
    fn fill(&mut self) {
        let now = Instant::now();
        let earned = now.duration_since(self.filled).as_secs_f64() * self.rate;
        self.tokens = (self.tokens + earned).min(self.burst);
        self.filled = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Operation = Operation::new(Service::Ec2, "CreateRoute");

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_the_rest_is_spread() {
        let (buckets, account) = (Buckets::default(), AccountId("1".into()));
        let mut last = Duration::ZERO;
        for _ in 0..45 {
            last = buckets.take((&account, None), CALL, true, Duration::MAX).unwrap();
        }
        assert_eq!(last.as_secs(), 5, "25 at once, 20 more at four a second");
        assert_eq!(buckets.take((&account, None), CALL, true, Duration::from_secs(1)), None, "the caller has no time");
        let other = AccountId("2".into());
        assert_eq!(buckets.take((&other, None), CALL, true, Duration::ZERO), Some(Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn throttling_shrinks_the_bucket_and_success_widens_it_again() {
        let (buckets, account) = (Buckets::default(), AccountId("1".into()));
        let place = (&account, None);
        for _ in 0..3 {
            buckets.answered(place, CALL, true, true);
        }
        assert_eq!(
            buckets.take(place, CALL, true, Duration::MAX),
            Some(Duration::from_secs(2)),
            "half a call a second"
        );
        for _ in 0..50 {
            buckets.answered(place, CALL, true, false);
        }
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(buckets.take(place, CALL, true, Duration::ZERO), Some(Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn looks_at_statements_do_not_wait_for_listings_of_them() {
        let (buckets, account) = (Buckets::default(), AccountId("1".into()));
        let take = |name| {
            let call = Operation::new(Service::RedshiftData, name);
            buckets.take((&account, None), call, false, Duration::MAX).unwrap()
        };
        for second in 0..20 {
            // a thousand jobs, each of which is looked at every 20 seconds
            for _ in 0..50 {
                assert!(take("DescribeStatement") < Duration::from_secs(1), "{second}");
            }
            take("ListStatements");
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let waits: Vec<_> = (0..40).map(|_| take("ListStatements")).collect();
        assert_eq!(waits[39], Duration::from_secs(10), "ten at once, the others at three a second");
    }
}
