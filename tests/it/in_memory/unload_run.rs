//! An UNLOAD runs once, and its job tells how it went.

use crate::in_memory::driver::Driver;
use crate::in_memory::fake::world::{job, unload_link};
use redshift_link::api::unload::status::JobState;

#[tokio::test(start_paused = true)]
async fn a_job_unloads_and_says_what() {
    let mut driver = Driver::new();
    driver.apply(unload_link("a"));
    driver.submit("j", job("a", |_| {}));
    driver.settle().await;
    let status = driver.kubernetes.job("j").unwrap().status.unwrap();
    assert_eq!(driver.state("j"), Some(JobState::Complete), "{status:#?}");
    assert_eq!((status.rows, status.bytes, status.files), (Some(2), Some(1200), Some(2)));
    assert_eq!(driver.job_condition("j", "Complete"), "True Complete");
}
