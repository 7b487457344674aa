//! Turns: so many loops run at a time, and who waits longest goes first.
//!
//! The limit of [`kube::runtime::controller::Config`] is no queue: it takes those that wait in the order of their hashes.
//! Where others come again all the time, as they do when they wait for what a link has not said yet, the last
//! of that order never run. So the controllers have no limit of their own, and their loops wait here.

use kube::Resource;
use kube::runtime::reflector::{ObjectRef, Store};
use std::hash::Hash;
use std::sync::Arc;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

/// The turns of one kind of objects.
pub struct Turns<K: Resource<DynamicType: Hash + Eq> + 'static> {
    free: Semaphore,
    store: Store<K>,
    stop: CancellationToken,
}

impl<K> Turns<K>
where
    K: Resource<DynamicType: Hash + Eq + Clone + Default> + Clone + 'static,
{
    /// So many at a time, until `stop`.
    #[must_use]
    pub fn new(at_a_time: u16, store: Store<K>, stop: CancellationToken) -> Self {
        Self { free: Semaphore::new(at_a_time.into()), store, stop }
    }

    /// Waits for a turn, which lasts for as long as the permit is held. Gives the object as it is by then; none where it
    /// is gone, or where nothing is to be begun any more.
    pub async fn take(&self, object: &K) -> Option<(SemaphorePermit<'_>, Arc<K>)> {
        // nobody closes it
        let permit = self.stop.run_until_cancelled(self.free.acquire()).await?.ok()?;
        Some((permit, self.store.get(&ObjectRef::from_obj(object))?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{StreamExt, stream};
    use k8s_openapi::api::core::v1::ConfigMap;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    use kube::runtime::controller::{Action, Config, applier};
    use kube::runtime::reflector::store;
    use kube::runtime::watcher::{Error, Event};
    use std::collections::BTreeMap;
    use std::convert::Infallible;
    use std::sync::Mutex;
    use std::time::Duration;

    fn object(number: usize, data: &str) -> ConfigMap {
        let metadata = ObjectMeta { name: Some(format!("object-{number}")), ..ObjectMeta::default() };
        ConfigMap { metadata, data: Some(BTreeMap::from([("data".into(), data.into())])), ..ConfigMap::default() }
    }

    struct Context {
        turns: Turns<ConfigMap>,
        loops: Mutex<BTreeMap<String, usize>>,
    }

    /// More objects come again at once than there are turns: all get as many.
    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever() {
        const OBJECTS: usize = 40;
        let (reader, mut writer) = store();
        writer.apply_watcher_event(&Event::Init);
        for number in 0..OBJECTS {
            writer.apply_watcher_event(&Event::InitApply(object(number, "")));
        }
        writer.apply_watcher_event(&Event::InitDone);
        let requests: Vec<_> =
            reader.state().iter().map(|one| Ok::<_, Error>(ObjectRef::from_obj(one.as_ref()))).collect();
        let turns = Turns::new(4, reader.clone(), CancellationToken::new());
        let context = Arc::new(Context { turns, loops: Mutex::default() });
        let reconcile = |one: Arc<ConfigMap>, context: Arc<Context>| {
            Box::pin(async move {
                let (_turn, one) = context.turns.take(&one).await.expect("a turn");
                tokio::time::sleep(Duration::from_millis(10)).await;
                *context.loops.lock().unwrap().entry(one.metadata.name.clone().unwrap()).or_default() += 1;
                Ok::<_, Infallible>(Action::requeue(Duration::ZERO))
            })
        };
        let again = |_: Arc<ConfigMap>, _: &Infallible, _: Arc<Context>| Action::await_change();
        let queue = stream::iter(requests).chain(stream::pending());
        let config = Config::default().concurrency(0);
        applier(reconcile, again, context.clone(), reader, queue, config).take(OBJECTS * 25).count().await;
        let loops = context.loops.lock().unwrap();
        assert!(loops.len() == OBJECTS && loops.values().all(|count| (20..=30).contains(count)), "{loops:?}");
    }

    #[tokio::test]
    async fn the_object_is_as_it_is_when_its_turn_comes() {
        let (reader, mut writer) = store();
        let (before, stop) = (object(1, "before"), CancellationToken::new());
        writer.apply_watcher_event(&Event::Apply(before.clone()));
        let turns = Turns::new(1, reader, stop.clone());
        let (turn, first) = turns.take(&before).await.expect("a turn");
        assert_eq!(*first, before);
        writer.apply_watcher_event(&Event::Apply(object(1, "after")));
        drop(turn);
        let (turn, second) = turns.take(&before).await.expect("a turn");
        assert_eq!(*second, object(1, "after"));
        drop(turn);
        writer.apply_watcher_event(&Event::Delete(before.clone()));
        assert!(turns.take(&before).await.is_none(), "gone");
        writer.apply_watcher_event(&Event::Apply(before.clone()));
        let _turn = turns.take(&before).await;
        stop.cancel();
        assert!(turns.take(&before).await.is_none(), "nothing is begun any more");
    }
}
