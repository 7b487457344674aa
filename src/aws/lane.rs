//! One listing serves many loops.
//!
//! Loops that want things of the same kind from the same account and region at the same time are answered by one call,
//! and a loop may use any answer whose call began after the moment that it names. What belongs to one object alone is not
//! shared: there would be nobody to share it with, and the slowest would keep all others waiting.

use super::error::{Class, Look};
use super::moment::{Began, Freshness};
use super::scope::Scope;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Answers older than this are dropped; no loop asks for older ones.
const KEPT: Duration = Duration::from_secs(60);

/// Reads of things that one loop alone asks for: each is a call of its own, and waits for no other.
pub(super) struct Single<K, V>(PhantomData<fn(K) -> V>);

impl<K, V> Default for Single<K, V> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<K: Ord + Clone, V: Default> Single<K, V> {
    pub(super) async fn get<F>(&self, _: &Scope, id: K, _: Freshness, call: impl Fn(BTreeSet<K>) -> F) -> Look<V>
    where
        F: Future<Output = Look<BTreeMap<K, V>>>,
    {
        Ok(call(BTreeSet::from([id.clone()])).await?.remove(&id).unwrap_or_default())
    }
}

/// The calls of one kind of read.
pub(super) struct Lane<K, V> {
    places: Mutex<HashMap<Scope, Arc<Place<K, V>>>>,
}

impl<K, V> Default for Lane<K, V> {
    fn default() -> Self {
        Self { places: Mutex::default() }
    }
}

/// The calls of one kind of read in one account and region: one at a time, each for all ids wanted by then.
struct Place<K, V> {
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State<K, V>>,
}

struct State<K, V> {
    wanted: BTreeSet<K>,
    answers: BTreeMap<K, (Began, Look<V>)>,
}

impl<K: Ord + Clone, V: Clone + Default> Lane<K, V> {
    pub(super) async fn get<F>(&self, at: &Scope, id: K, fresh: Freshness, call: impl Fn(BTreeSet<K>) -> F) -> Look<V>
    where
        F: Future<Output = Look<BTreeMap<K, V>>>,
    {
        let place = self.place(at);
        if let Some(answer) = place.fresh(&id, fresh) {
            return answer;
        }
        place.with(|state| state.wanted.insert(id.clone()));
        let _turn = place.turn.lock().await;
        if let Some(answer) = place.fresh(&id, fresh) {
            return answer;
        }
        let mut ids = place.with(|state| std::mem::take(&mut state.wanted));
        ids.insert(id.clone());
        let (mut began, mut found) = (Began::now(), call(ids.clone()).await);
        if ids.len() > 1 && found.as_ref().is_err_and(|error| error.class >= Class::Blocked) {
            // The refusal may be about one of the ids only, and must not befall loops that asked for others: they
            // find no answer when their turn comes, and ask alone.
            ids = BTreeSet::from([id.clone()]);
            (began, found) = (Began::now(), call(ids.clone()).await);
        }
        // what this call found is the answer, however long it took: age matters for answers to others
        let answers: BTreeMap<K, Look<V>> = match found {
            Ok(mut found) => {
                let answer = |id: K| (id.clone(), Ok(found.remove(&id).unwrap_or_default()));
                ids.into_iter().map(answer).collect()
            }
            Err(error) => ids.into_iter().map(|id| (id, Err(error.clone()))).collect(),
        };
        let own = answers[&id].clone();
        place.with(|state| {
            state.answers.retain(|_, (began, _)| !began.is_older_than(KEPT));
            state.answers.extend(answers.into_iter().map(|(id, answer)| (id, (began, answer))));
        });
        own
    }

    fn place(&self, at: &Scope) -> Arc<Place<K, V>> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.entry(at.clone()).or_insert_with(|| {
            let state = State { wanted: BTreeSet::new(), answers: BTreeMap::new() };
            Arc::new(Place { turn: tokio::sync::Mutex::default(), state: Mutex::new(state) })
        });
        Arc::clone(place)
    }
}

impl<K: Ord, V: Clone> Place<K, V> {
    fn with<T>(&self, f: impl FnOnce(&mut State<K, V>) -> T) -> T {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn fresh(&self, id: &K, fresh: Freshness) -> Option<Look<V>> {
        let usable = |(began, _): &&(Began, Look<V>)| began.satisfies(fresh);
        self.with(|state| state.answers.get(id).filter(usable).map(|(_, answer)| answer.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::{AwsError, Operation, Service};
    use super::super::scope::AccountId;
    use super::*;
    use crate::aws::moment::Moment;
    use futures::future::join_all;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn anew() -> Freshness {
        Freshness { after: Moment::now(), age: Duration::from_secs(10) }
    }

    #[tokio::test(start_paused = true)]
    async fn loops_that_ask_at_the_same_time_share_two_calls() {
        let lane = Lane::<u32, Option<u32>>::default();
        let calls = AtomicUsize::new(0);
        let at = Scope::new("111122223333", "eu-west-1");
        let fresh = anew();
        let asks = (0..50).map(|id| {
            lane.get(&at, id, fresh, |ids| {
                calls.fetch_add(1, Ordering::Relaxed);
                async move {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    Ok(ids.into_iter().filter(|id| id % 2 == 0).map(|id| (id, Some(id))).collect())
                }
            })
        });
        let answers = join_all(asks).await;
        assert_eq!(answers[4], Ok(Some(4)));
        assert_eq!(answers[5], Ok(None), "what is not found is not there");
        assert_eq!(calls.load(Ordering::Relaxed), 2, "the first asks alone, the others together");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_of_one_thing_befalls_only_those_who_asked_for_it() {
        let lane = Lane::<u32, Option<u32>>::default();
        let calls = AtomicUsize::new(0);
        let at = Scope::new("111122223333", "eu-west-1");
        let refused = AwsError {
            account: AccountId("111122223333".into()),
            region: None,
            operation: Operation::new(Service::Iam, "GetRole"),
            resource: "3".into(),
            code: "AccessDenied".into(),
            message: String::new(),
            request_id: None,
            class: Class::Blocked,
        };
        let fresh = anew();
        let asks = (0..5).map(|id| {
            lane.get(&at, id, fresh, |ids| {
                calls.fetch_add(1, Ordering::Relaxed);
                let answer = if ids.contains(&3) {
                    Err(refused.clone())
                } else {
                    Ok(ids.into_iter().map(|id| (id, Some(id))).collect())
                };
                async move {
                    tokio::task::yield_now().await;
                    answer
                }
            })
        });
        let answers = join_all(asks).await;
        for (id, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer, if id == 3 { Err(refused.clone()) } else { Ok(Some(u32::try_from(id).unwrap())) });
        }
        assert_eq!(calls.load(Ordering::Relaxed), 6, "one for the first, one for the rest together, then one each");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_older_than_asked_for_is_not_used() {
        let lane = Lane::<(), u32>::default();
        let calls = AtomicUsize::new(0);
        let at = Scope::new("111122223333", "eu-west-1");
        let ask = |fresh| {
            lane.get(&at, (), fresh, |_| {
                let n = calls.fetch_add(1, Ordering::Relaxed);
                async move { Ok(BTreeMap::from([((), u32::try_from(n).unwrap())])) }
            })
        };
        let start = anew();
        assert_eq!(ask(start).await, Ok(0));
        assert_eq!(ask(start).await, Ok(0));
        assert_eq!(ask(anew()).await, Ok(1), "something happened in between");
        let start = anew();
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(ask(start).await, Ok(2));
        tokio::time::advance(Duration::from_secs(11)).await;
        assert_eq!(ask(start).await, Ok(3), "too old");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_takes_longer_than_answers_may_be_old_is_answered() {
        let lane = Lane::<(), u32>::default();
        let at = Scope::new("111122223333", "eu-west-1");
        let answer = lane.get(&at, (), anew(), |_| async {
            tokio::time::sleep(Duration::from_secs(30)).await;
            Ok(BTreeMap::from([((), 7)]))
        });
        assert_eq!(answer.await, Ok(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_is_dropped_in_the_middle_blocks_nobody() {
        let lane = Lane::<(), u32>::default();
        let at = Scope::new("111122223333", "eu-west-1");
        let fresh = anew();
        let hung = lane.get(&at, (), fresh, |_| std::future::pending());
        assert!(tokio::time::timeout(Duration::from_secs(1), hung).await.is_err());
        let answer = lane.get(&at, (), fresh, |_| async { Ok(BTreeMap::from([((), 7)])) });
        assert_eq!(answer.await, Ok(7));
    }
}
