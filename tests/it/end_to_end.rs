//! The built program, with the permissions that it prints, against the local accounts and a real API server.

use crate::bench::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn a_link_becomes_ready_is_repaired_and_leaves_nothing() {
    let stage = Stage::set("life").await;
    let before = stage.inventory();
    let mut program = stage.program();
    stage.apply(&stage.manifest("warehouse", |_| {}));
    stage.until_ready("warehouse", "True InPlace").await;

    let own = stage.pair(0)["consumer"]["routeTables"]["own"].as_str().unwrap();
    let cidr = stage.pair(0)["producer"]["cidr"].as_str().unwrap();
    let ec2 = stage.ec2("consumer").await;
    let whole = stage.inventory();
    ec2.delete_route().route_table_id(own).destination_cidr_block(cidr).send().await.expect("deleted behind its back");
    stage.until("the route to be repaired", || stage.inventory() == whole).await;
    stage.until_ready("warehouse", "True InPlace").await;

    stage.delete("warehouse");
    stage.until_gone("warehouse").await;
    assert_eq!(stage.inventory(), before);
    assert!(program.terminate(), "a clean end");
}
