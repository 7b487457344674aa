//! The leader's lease: who leads is the only one that writes, and stops before somebody else may.
//!
//! Written here and not taken from a crate because an effect may begin only while the lease surely outlives it: for
//! that the moment of the last renewal is needed, which the crates that fit do not give. No wall clock of another
//! machine is read: a lease has run out when it did not change for its whole duration by our own clock.

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, ResourceExt};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a lease holds after it was renewed.
pub const DURATION: Duration = Duration::from_secs(60);
const RENEW_EVERY: Duration = Duration::from_secs(10);
const RETRY_EVERY: Duration = Duration::from_secs(2);
/// Leadership is given up so long before it runs out: nothing is begun then that could outlive it.
const MARGIN: Duration = Duration::from_secs(5);
/// Name of the lease.
pub const NAME: &str = "redshift-link";

/// Until when we lead. Cheap to clone.
#[derive(Clone, Default)]
pub struct Leadership(Arc<Mutex<Option<Instant>>>);

impl Leadership {
    /// Whether we surely lead for so long from now on.
    #[must_use]
    pub fn covers(&self, duration: Duration) -> bool {
        let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() + duration < until)
    }

    fn set(&self, until: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

/// What to do about a lease.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Nobody holds it, or the holder let it run out.
    Take,
    /// We hold it.
    Renew,
    /// Somebody else does.
    Wait,
}

/// `unchanged`: for how long we have seen the lease as it is.
fn judge(spec: Option<&LeaseSpec>, identity: &str, unchanged: Duration) -> Verdict {
    let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
    let seconds = spec.and_then(|spec| spec.lease_duration_seconds).and_then(|s| u64::try_from(s).ok());
    let duration = seconds.map_or(DURATION, Duration::from_secs);
    match holder {
        "" => Verdict::Take,
        holder if holder == identity => Verdict::Renew,
        _ if unchanged >= duration => Verdict::Take,
        _ => Verdict::Wait,
    }
}

/// The lease in a namespace, as one process sees it.
pub struct Elector {
    leases: Api<Lease>,
    identity: String,
    leadership: Leadership,
    /// The version last seen, and since when.
    seen: Option<(String, Instant)>,
}

impl Elector {
    /// `identity` must differ between processes: a pod's name does.
    #[must_use]
    pub fn new(client: Client, namespace: &str, identity: String) -> Self {
        Self { leases: Api::namespaced(client, namespace), identity, leadership: Leadership::default(), seen: None }
    }

    /// Until when we lead, for those who must know.
    #[must_use]
    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Waits until we lead. False where `stop` came first.
    pub async fn acquire(&mut self, stop: &CancellationToken) -> bool {
        loop {
            match self.attempt().await {
                Ok(true) => return true,
                Ok(false) => tracing::debug!("somebody else leads"),
                Err(error) => tracing::warn!(%error, "the lease was not acquired"),
            }
            tokio::select! {
                () = stop.cancelled() => return false,
                () = tokio::time::sleep(RETRY_EVERY) => {}
            }
        }
    }

    /// Keeps the lease until it is lost or `stop` comes; then it is released. True where it was lost.
    pub async fn hold(&mut self, stop: &CancellationToken) -> bool {
        loop {
            let pause = if self.leadership.covers(DURATION - RENEW_EVERY) { RENEW_EVERY } else { RETRY_EVERY };
            tokio::select! {
                () = stop.cancelled() => {
                    self.release().await;
                    return false;
                }
                () = tokio::time::sleep(pause) => {}
            }
            match tokio::time::timeout(RENEW_EVERY, self.attempt()).await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => {
                    tracing::error!("the lease was taken by another");
                    self.leadership.set(None);
                    return true;
                }
                Ok(Err(error)) => tracing::warn!(%error, "the lease was not renewed"),
                Err(_) => tracing::warn!("the lease was not renewed in time"),
            }
            if !self.leadership.covers(MARGIN) {
                tracing::error!("the lease runs out: stepping down");
                self.leadership.set(None);
                return true;
            }
        }
    }

    /// Looks at the lease, and takes or renews it where that is right. True where we lead.
    async fn attempt(&mut self) -> Result<bool, kube::Error> {
        // counted from before the request: the lease may have been written at any time after it was sent
        let asked = Instant::now();
        let Some(found) = self.leases.get_opt(NAME).await? else {
            let metadata = ObjectMeta { name: Some(NAME.into()), ..ObjectMeta::default() };
            let lease = Lease { metadata, spec: Some(self.spec(None)) };
            return self.written(asked, self.leases.create(&PostParams::default(), &lease).await);
        };
        let version = found.resource_version().unwrap_or_default();
        let since = match &self.seen {
            Some((seen, since)) if *seen == version => *since,
            _ => asked,
        };
        self.seen = Some((version, since));
        match judge(found.spec.as_ref(), &self.identity, since.elapsed()) {
            Verdict::Wait => Ok(false),
            Verdict::Take | Verdict::Renew => {
                let asked = Instant::now();
                let spec = Some(self.spec(found.spec.as_ref()));
                // the version that was read goes along: of two that take it, one is refused
                let lease = Lease { spec, ..found };
                self.written(asked, self.leases.replace(NAME, &PostParams::default(), &lease).await)
            }
        }
    }

    fn written(&self, asked: Instant, result: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
        match result {
            Ok(_) => {
                self.leadership.set(Some(asked + DURATION));
                Ok(true)
            }
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => {
                // our own view may be old: whether we still lead is seen at the next look
                if self.leadership.covers(Duration::ZERO) { Ok(true) } else { Ok(false) }
            }
            Err(error) => Err(error),
        }
    }

    fn spec(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let held = before.filter(|spec| spec.holder_identity.as_deref() == Some(&self.identity));
        let now = MicroTime(Timestamp::now());
        let transitions = before.and_then(|spec| spec.lease_transitions).unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(i32::try_from(DURATION.as_secs()).unwrap_or(i32::MAX)),
            acquire_time: held.and_then(|spec| spec.acquire_time.clone()).or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(transitions + i32::from(before.is_some() && held.is_none())),
            ..LeaseSpec::default()
        }
    }

    /// Lets the next one in at once.
    async fn release(&self) {
        self.leadership.set(None);
        let release = async {
            let Some(found) = self.leases.get_opt(NAME).await? else { return Ok(()) };
            if judge(found.spec.as_ref(), &self.identity, Duration::ZERO) != Verdict::Renew {
                return Ok(());
            }
            let spec = found.spec.clone().map(|spec| LeaseSpec { holder_identity: None, ..spec });
            self.leases.replace(NAME, &PostParams::default(), &Lease { spec, ..found }).await.map(drop)
        };
        if let Err(error) = release.await {
            tracing::warn!(%error, "the lease was not released: it runs out by itself");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: &str) -> LeaseSpec {
        LeaseSpec { holder_identity: Some(holder.into()), lease_duration_seconds: Some(60), ..LeaseSpec::default() }
    }

    #[test]
    fn a_lease_is_taken_only_when_it_ran_out_by_our_own_clock() {
        let s = Duration::from_secs;
        assert_eq!(judge(None, "a", s(0)), Verdict::Take);
        assert_eq!(judge(Some(&lease("")), "a", s(0)), Verdict::Take);
        assert_eq!(judge(Some(&lease("a")), "a", s(0)), Verdict::Renew);
        assert_eq!(judge(Some(&lease("b")), "a", s(59)), Verdict::Wait);
        assert_eq!(judge(Some(&lease("b")), "a", s(60)), Verdict::Take);
    }

    #[tokio::test(start_paused = true)]
    async fn leadership_covers_only_what_ends_before_it() {
        let leadership = Leadership::default();
        assert!(!leadership.covers(Duration::ZERO));
        leadership.set(Some(Instant::now() + DURATION));
        assert!(leadership.covers(Duration::from_secs(59)) && !leadership.covers(DURATION));
        tokio::time::advance(Duration::from_secs(50)).await;
        assert!(!leadership.covers(Duration::from_secs(20)));
    }
}
