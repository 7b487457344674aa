//! Lives of two jobs over one link, made up from a seed: faults, restarts after any time, wiped statuses, suspensions,
//! deletions, changes of the link, other endings. However it goes, no statement is accepted twice, none loses its roles,
//! and in the end nothing is left.

use crate::in_memory::driver::Driver;
use crate::in_memory::fake::warehouse::Ending;
use crate::in_memory::fake::world::{job, link, unload_link};
use crate::in_memory::unload_once::{FAULTS, check, ready};
use redshift_link::api::unload::status::JobState;
use serde_json::json;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

struct Random(u64);

impl Random {
    fn below(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }
}

fn endings(random: &mut Random) -> Vec<Ending> {
    let files = || vec![("0000_part_00", 700), ("0001_part_00", 500)];
    let ending = |random: &mut Random| match random.below(6) {
        0 => Ending::Failed("connection reset by peer", files()),
        1 => Ending::Failed("permission denied", files()),
        2 => Ending::Aborted(files()),
        3 => Ending::NoRows(vec![]),
        _ => Ending::Finished(files()),
    };
    (0..3).map(|_| ending(random)).collect()
}

/// One thing happens.
async fn happens(driver: &mut Driver, random: &mut Random) {
    let name = random.of(&["j", "k"]);
    match random.below(13) {
        0 => driver.wipe_status(),
        1 => {
            tokio::time::sleep(Duration::from_secs(random.of(&[1, 60, 4_000, 30_000, 90_000]))).await;
            driver.restart();
        }
        2 => driver.submit(name, job("a", |spec| spec["suspend"] = json!(true))),
        3 => driver.kubernetes.delete_job(name),
        4 => driver.kubernetes.delete("a"),
        5 if driver.kubernetes.get("a").is_some() => driver.apply(link("a", |spec| {
            spec["unload"] = json!({"bucket": "exports", "prefix": "warehouse/", "onTeardown": "Wait"});
        })),
        6 if driver.kubernetes.get("a").is_some() => driver.apply(link("a", |_| {})),
        12 if driver.kubernetes.get("a").is_some() => driver.apply(link("a", |spec| {
            let key = random.of(&[None, Some("arn:aws:kms:eu-west-1:444455556666:key/k-1")]);
            spec["unload"] = json!({"bucket": "exports", "prefix": "warehouse/", "kmsKeyArn": key});
        })),
        7 | 8 => driver.faults.strike(random.below(6), random.of(&FAULTS)),
        9 => driver.down = Duration::from_secs(random.of(&[0, 0, 30, 30_000])),
        _ => driver.submit(name, job("a", |_| {})),
    }
}

async fn lives(seed: u64) -> usize {
    let mut random = Random(seed);
    let mut driver = ready().await;
    {
        let mut state = driver.aws.state();
        state.versioned = random.below(2) == 0;
        state.warehouse.endings = endings(&mut random);
        state.warehouse.takes = Duration::from_secs(random.of(&[5, 45, 200]));
        state.warehouse.writes_on = random.of(&[None, Some(Duration::from_secs(20))]);
    }
    driver.submit("j", job("a", |_| {}));
    for _ in 0..6 {
        driver.pass(Duration::from_secs(random.of(&[0, 1, 3, 10, 40, 300]))).await;
        happens(&mut driver, &mut random).await;
    }
    let what = format!("seed {seed}");
    driver.pass(Duration::from_secs(100)).await;
    check(&driver, &what);
    for name in ["j", "k"] {
        driver.remove(name, &what).await;
    }
    check(&driver, &what);
    driver.kubernetes.delete("a");
    for _ in 0..20 {
        if driver.kubernetes.get("a").is_some() {
            driver.pass(Duration::from_secs(100)).await;
        }
    }
    assert!(driver.kubernetes.get("a").is_none(), "{what}: {}", driver.message("a", "Ready"));
    check(&driver, &what);
    let left = driver.aws.in_buckets();
    let data = |line: &String| line.contains("_part_") || line.contains("/manifest ");
    assert!(left.iter().all(data), "{what}: {left:#?}");
    driver.loops
}

/// Lives one after the other, each in a runtime of its own, shared out over as many threads as there are processors.
fn run(seeds: Range<u64>) {
    let next = AtomicU64::new(seeds.start);
    let live = || {
        let mut loops = 0;
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !seeds.contains(&seed) {
                return loops;
            }
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
            loops += runtime.unwrap().block_on(lives(seed));
        }
    };
    let loops: usize = std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let lives: Vec<_> = (0..threads).map(|_| scope.spawn(live)).collect();
        lives.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    println!("random lives: {} runs, {loops} plans", seeds.end - seeds.start);
}

#[test]
fn whatever_happens_it_runs_once() {
    run(0..300);
}

/// Deleted between the fence of its second attempt and the status that tells of it.
#[test]
fn a_life_that_once_did_not_end_ends() {
    run(1_489..1_490);
}

#[test]
#[ignore = "takes a quarter of an hour: make sweeps"]
fn whatever_happens_ten_thousand_times_it_runs_once() {
    run(1_000..11_000);
}

/// A link that is there, a job that is left alone: it is complete in the end.
#[tokio::test(start_paused = true)]
async fn after_any_two_faults_a_job_that_is_left_alone_is_complete() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let mut driver = ready().await;
        let first = random.below(8);
        driver.faults.strike(first, random.of(&FAULTS));
        driver.faults.strike(first + 1 + random.below(4), random.of(&FAULTS));
        driver.when_struck = (random.below(2) == 0).then_some(Driver::wipe_status as fn(&mut Driver));
        driver.submit("j", job("a", |_| {}));
        assert!(driver.finish("j", 2).await, "seed {seed}");
        assert_eq!(driver.state("j"), Some(JobState::Complete), "seed {seed}: {}", driver.ended("j"));
        check(&driver, "two faults");
        driver.apply(unload_link("a"));
    }
}
