//! Two processes: one acts, the other stands by and takes over.

use crate::bench::stage::Stage;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn the_one_that_stands_by_takes_over_at_once_when_the_first_ends_well() {
    let stage = Stage::set("leader").await;
    let holder = || {
        let lease = stage.plane().get("lease", "default", "redshift-link").unwrap_or_default();
        lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
    };
    let mut first = stage.program_named("first");
    stage.until("the first to lead", || holder() == "first").await;
    let mut second = stage.program_named("second");
    stage.apply(&stage.manifest("warehouse", |_| {}));
    stage.until_ready("warehouse", "True InPlace").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(holder(), "first");
    let since = stage.aws.calls(0).1;

    assert!(first.terminate(), "a clean end");
    let began = Instant::now();
    stage.until("the second to lead", || holder() == "second").await;
    assert!(began.elapsed() < Duration::from_secs(30), "it need not wait until the lease runs out");
    stage.delete("warehouse");
    stage.until_gone("warehouse").await;
    let entered = stage.aws.calls(since).0.iter().filter(|call| call["action"] == "sts:AssumeRole").count();
    assert_eq!(entered, 2, "the second entered both accounts itself, and only when it led");
    assert!(second.terminate(), "a clean end");
}
