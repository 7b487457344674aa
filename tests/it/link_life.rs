//! A link from applied to gone, over the fake accounts.

use crate::driver::Driver;
use crate::fake::world::{link, network_link};

#[tokio::test(start_paused = true)]
async fn a_link_becomes_ready_and_leaves_nothing() {
    let mut driver = Driver::new();
    let before = driver.aws.inventory();
    driver.apply(link("a", |_| {}));
    driver.settle().await;
    println!("{:#?}", driver.kubernetes.get("a").unwrap().status);
    println!("{:#?}", driver.aws.inventory());
    assert_eq!(driver.ready("a"), "True InPlace");
    driver.kubernetes.delete("a");
    driver.settle().await;
    assert!(driver.kubernetes.get("a").is_none());
    assert_eq!(driver.aws.inventory(), before);
    let _ = network_link;
}
