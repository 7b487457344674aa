//! An UNLOAD runs once: every fault at every write, with the process down for longer than the API remembers anything,
//! with the status wiped, the role made anew, the statement changed. No attempt's statement is ever accepted twice, no
//! statement loses its roles, and nothing is left behind.

use crate::in_memory::driver::{Driver, GRACE, clock};
use crate::in_memory::fake::faults::{Fault, Write};
use crate::in_memory::fake::warehouse::Ending;
use crate::in_memory::fake::world::{PRODUCER, job, link, unload_link};
use redshift_link::api::unload::status::JobState;
use redshift_link::aws::effect::Effect;
use redshift_link::aws::mark::{Installation, RoleKind};
use redshift_link::aws::scope::AccountId;
use serde_json::json;
use std::time::Duration;

pub const FAULTS: [Fault; 6] = [
    Fault::StopBefore,
    Fault::StopAfter,
    Fault::FailsBefore,
    Fault::FailsAfter,
    Fault::LostAnswer,
    Fault::Late(GRACE.checked_div(2).unwrap()),
];

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
/// Around what the API remembers: tokens for 8 hours, statements for 24.
const DOWN: [u64; 6] = [0, MINUTE, 8 * HOUR - MINUTE, 8 * HOUR + MINUTE, 23 * HOUR, 25 * HOUR];

/// What else happens at the moment of the fault.
type Meanwhile = fn(&mut Driver);

const MEANWHILE: [(&str, Meanwhile); 4] = [
    ("nothing", |_| {}),
    ("status wiped", Driver::wipe_status),
    ("role made anew", role_anew),
    ("other statement", other_statement),
];

fn role_anew(driver: &mut Driver) {
    let name = Installation::new("test").unwrap().role(RoleKind::Submit, "uid-of-a");
    let mut state = driver.aws.state();
    if state.roles.contains_key(&(AccountId(PRODUCER.into()), name.clone())) {
        state.delete_role(&AccountId(PRODUCER.into()), &name);
    }
    drop(state);
    driver.look_now();
}

fn other_statement(driver: &mut Driver) {
    driver.apply(link("a", |spec| {
        spec["unload"] = json!({"bucket": "exports", "prefix": "warehouse/"});
        spec["producer"]["cluster"]["database"] = json!("other");
    }));
}

pub async fn ready() -> Driver {
    let mut driver = Driver::new();
    driver.apply(unload_link("a"));
    driver.settle().await;
    assert_eq!(driver.ready("a"), "True InPlace");
    driver
}

/// What must hold however it went.
pub fn check(driver: &Driver, what: &str) {
    for (name, times) in driver.aws.accepted() {
        assert_eq!(times, 1, "{what}: {name} was accepted {times} times");
    }
    // the submitting role that is deleted by hand is nobody's doing
    let cuts = driver.aws.state().cuts.clone();
    assert!(cuts.is_empty(), "{what}: {cuts:#?}");
}

#[tokio::test(start_paused = true)]
async fn no_fault_makes_it_run_twice() {
    sweep(false, false).await;
}

/// Where nothing was written the warehouse is asked as well.
#[tokio::test(start_paused = true)]
async fn nor_does_one_where_there_are_no_rows() {
    sweep(false, true).await;
}

#[tokio::test(start_paused = true)]
#[ignore = "takes minutes, with every time for which the process is down: make sweeps"]
async fn no_fault_at_any_time_makes_it_run_twice() {
    sweep(true, false).await;
    sweep(true, true).await;
}

/// A token is remembered for 8 hours: after 7 nothing is submitted, even where no statement can be seen.
#[tokio::test(start_paused = true)]
async fn what_was_not_submitted_in_time_is_never_submitted() {
    let submits = number(|write| matches!(write, Write::Aws(Effect::ExecuteStatement { .. }))).await;
    for (down, accepted) in [(7 * HOUR - 10 * MINUTE, 1), (7 * HOUR + MINUTE, 0)] {
        let mut driver = ready().await;
        driver.faults.strike(submits, Fault::StopBefore);
        driver.down = Duration::from_secs(down);
        driver.when_struck = Some(|_| {});
        driver.submit("j", job("a", |_| {}));
        assert!(driver.finish("j", 40).await, "down for {down} s");
        assert_eq!(driver.aws.accepted().len(), accepted, "down for {down} s: {}", driver.ended("j"));
    }
}

/// Who encrypts a bucket anew copies each object onto itself: the fence looks new, and its statement is forgotten.
#[tokio::test(start_paused = true)]
async fn a_fence_that_was_copied_is_as_old_as_it_was() {
    let submits = number(|write| matches!(write, Write::Aws(Effect::ExecuteStatement { .. }))).await;
    for (down, accepted) in [(7 * HOUR + MINUTE, 1), (25 * HOUR, 1)] {
        let mut driver = ready().await;
        driver.aws.state().warehouse.endings = vec![Ending::NoRows(vec![])];
        driver.faults.strike(submits, Fault::StopAfter);
        driver.down = Duration::from_secs(down);
        driver.when_struck = Some(Driver::wipe_status);
        driver.submit("j", job("a", |_| {}));
        while driver.aws.accepted().is_empty() {
            driver.step_soon().await;
        }
        for versions in driver.aws.state().objects.values_mut() {
            versions.iter_mut().for_each(|version| version.modified = clock());
        }
        assert!(driver.finish("j", 40).await, "down for {down} s");
        assert_eq!(driver.aws.accepted().iter().map(|(_, times)| times).sum::<usize>(), accepted, "down for {down} s");
    }
}

/// The fence whose answer was lost comes later, and the link unloads elsewhere by then.
#[tokio::test(start_paused = true)]
async fn a_fence_that_comes_late_is_found_where_it_is() {
    let puts = number(|write| matches!(write, Write::Aws(Effect::PutObject { .. }))).await;
    let mut driver = ready().await;
    driver.faults.strike(puts, Fault::Late(GRACE / 2));
    driver.when_struck = Some(|driver| {
        driver.apply(link("a", |spec| spec["unload"] = json!({"bucket": "exports", "prefix": "warehouse/other/"})));
    });
    driver.submit("j", job("a", |spec| spec["dataPolicy"] = json!("Delete")));
    assert!(driver.finish("j", 40).await, "{:#?}", driver.kubernetes.job("j"));
    driver.remove("j", "late fence").await;
    assert!(driver.aws.in_buckets().is_empty(), "{:?}", driver.aws.in_buckets());
}

/// Which of a job's writes that is.
async fn number(is: fn(&Write) -> bool) -> usize {
    let mut clean = ready().await;
    let before = clean.faults.tried().len();
    clean.submit("j", job("a", |_| {}));
    assert!(clean.finish("j", 0).await);
    clean.faults.tried()[before..].iter().position(is).expect("a write of it")
}

async fn sweep(whole: bool, empty: bool) {
    let ready = async || {
        let driver = ready().await;
        if empty {
            driver.aws.state().warehouse.endings = vec![Ending::NoRows(vec![])];
        }
        driver
    };
    let mut clean = ready().await;
    let before = clean.faults.tried().len();
    clean.submit("j", job("a", |_| {}));
    assert!(clean.finish("j", 0).await);
    let writes = clean.faults.tried()[before..].to_vec();
    println!("{} writes", writes.len());
    let (mut runs, mut loops, mut complete) = (0, 0, 0);
    for (number, write) in writes.iter().enumerate() {
        for fault in FAULTS {
            let stops = matches!(fault, Fault::StopBefore | Fault::StopAfter);
            for down in DOWN.iter().take(if stops { DOWN.len() } else { 1 }) {
                let other = whole || !empty && [0, 25 * HOUR].contains(down);
                for (name, meanwhile) in MEANWHILE.into_iter().take(if other { MEANWHILE.len() } else { 2 }) {
                    let what = format!("{fault:?} at write {number} {write:?}, down for {down} s, {name}");
                    let mut driver = ready().await;
                    driver.faults.strike(number, fault);
                    driver.down = Duration::from_secs(*down);
                    driver.when_struck = Some(meanwhile);
                    driver.submit("j", job("a", |_| {}));
                    assert!(driver.finish("j", 40).await, "{what}: {:#?}", driver.kubernetes.job("j"));
                    let state = driver.state("j");
                    if name == "nothing" && *down < 7 * HOUR {
                        assert_eq!(state, Some(JobState::Complete), "{what}: {}", driver.ended("j"));
                    }
                    complete += usize::from(state == Some(JobState::Complete));
                    let unknown = driver.ended("j").starts_with("SubmissionUnknown");
                    assert!(state == Some(JobState::Complete) || unknown, "{what}: {}", driver.ended("j"));
                    if name != "role made anew" {
                        check(&driver, &what);
                    }
                    driver.remove("j", &what).await;
                    let kept = driver.aws.in_buckets();
                    let expected = if state == Some(JobState::Complete) && !empty { 3 } else { 0 };
                    assert_eq!(kept.len(), expected, "{what}: {kept:#?}");
                    runs += 1;
                    loops += driver.loops;
                }
            }
        }
    }
    println!("run once: {runs} runs, {complete} complete, {loops} plans");
}
