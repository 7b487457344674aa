//! Turns: so many loops run at a time, and everybody who waits for a turn gets one.
//!
//! Most turns go to who comes first in the order of a hash. So objects that are under way go on while others wait, and
//! those made together, which often share things, seldom meet. But where the first come again all the time, the last of
//! that order would never run: therefore some turns go to who waits longest. The limit of
//! [`kube::runtime::controller::Config`] knows the first rule only, so the controllers have none there.

use kube::Resource;
use kube::runtime::reflector::{ObjectRef, Store};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// One of so many turns goes to who waits longest.
const OLDEST_EACH: u64 = 8;

/// The turns of one kind of objects.
pub struct Turns<K: Resource<DynamicType: Hash + Eq> + 'static> {
    queue: Arc<Queue>,
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
        let state = State { free: at_a_time, given: 0, arrived: 0, waiting: BTreeMap::new() };
        Self { queue: Arc::new(Queue(Mutex::new(state))), store, stop }
    }

    /// Waits for a turn, which lasts until it is dropped. Gives the object as it is by then; none where it is gone, or
    /// where nothing is to be begun any more.
    pub async fn take(&self, object: &K) -> Option<(Turn, Arc<K>)> {
        let key = ObjectRef::from_obj(object);
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let given = self.queue.wait(hasher.finish());
        // nobody closes it
        let turn = self.stop.run_until_cancelled(given).await?.ok()?;
        Some((turn, self.store.get(&key)?))
    }
}

/// The right to run. Dropped, it goes to the next.
#[derive(Debug)]
pub struct Turn(Arc<Queue>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.pass_on();
    }
}

#[derive(Debug)]
struct Queue(Mutex<State>);

#[derive(Debug)]
struct State {
    free: u16,
    given: u64,
    arrived: u64,
    /// By arrival: hash, and how to tell it.
    waiting: BTreeMap<u64, (u64, oneshot::Sender<Turn>)>,
}

impl Queue {
    fn wait(self: &Arc<Self>, hash: u64) -> oneshot::Receiver<Turn> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        state.arrived += 1;
        let arrival = state.arrived;
        state.waiting.insert(arrival, (hash, sender));
        if state.free > 0 {
            state.free -= 1;
            drop(state);
            self.pass_on();
        }
        receiver
    }

    /// A turn was given back. Who no longer waits for the one that it gets drops it, and so passes it on.
    fn pass_on(self: &Arc<Self>) {
        let next = self.lock().next();
        if let Some(next) = next {
            drop(next.send(Turn(Arc::clone(self))));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Who is to have a turn that was given back; where nobody waits, it is free.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        self.waiting.retain(|_, (_, sender)| !sender.is_closed());
        self.given += 1;
        let arrival = if self.given.is_multiple_of(OLDEST_EACH) {
            self.waiting.keys().next()
        } else {
            self.waiting.iter().min_by_key(|(_, (hash, _))| *hash).map(|(arrival, _)| arrival)
        };
        let next = arrival.copied().and_then(|arrival| self.waiting.remove(&arrival));
        if next.is_none() {
            self.free += 1;
        }
        next.map(|(_, sender)| sender)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{FutureExt, StreamExt, stream};
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

    /// More objects come again at once than there are turns: the first go on, and all come along.
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
        let most = loops.values().filter(|count| **count > 100).count();
        assert!(loops.len() == OBJECTS && loops.values().all(|count| *count > 1) && most >= 4, "{loops:?}");
    }

    #[tokio::test]
    async fn a_turn_that_nobody_waits_for_any_more_goes_to_the_next() {
        let (reader, mut writer) = store();
        for number in 0..3 {
            writer.apply_watcher_event(&Event::Apply(object(number, "")));
        }
        let turns = Turns::new(1, reader, CancellationToken::new());
        let held = turns.take(&object(0, "")).await.expect("a turn");
        for _ in 0..2 * OLDEST_EACH {
            assert!(turns.take(&object(1, "")).now_or_never().is_none(), "it waits, and then no more");
        }
        let last = object(2, "");
        let mut waits = Box::pin(turns.take(&last));
        assert!((&mut waits).now_or_never().is_none());
        drop(held);
        assert!(turns.take(&object(1, "")).now_or_never().is_none(), "the last one has it");
        drop(waits);
        assert!(turns.take(&object(1, "")).now_or_never().is_some(), "it was given back");
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
