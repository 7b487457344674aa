//! Of what lies in the bucket a job takes what its attempts wrote, and nothing beside it.

use crate::in_memory::fake::State;
use crate::in_memory::fake::buckets::Content;
use crate::in_memory::fake::warehouse::Ending;
use crate::in_memory::fake::world::job;
use crate::in_memory::unload_run::{CONNECTION, files, with};
use redshift_link::aws::model::Upload;
use serde_json::json;
use std::time::Duration;

/// The manifest lists one more file.
pub fn lists(state: &mut State, bucket: &str, prefix: &str, more: &str) {
    state.put_size(bucket, "warehouse/stores/other", 1);
    let meta = |size: u64, rows| json!({"content_length": size, "record_count": rows});
    let entry = |key: &str, size| json!({"url": format!("s3://{bucket}/{key}"), "meta": meta(size, 1)});
    let own = files().into_iter().map(|(name, size)| entry(&format!("{prefix}{name}"), size));
    let entries: Vec<_> = own.chain([entry(more, 1)]).collect();
    let body = json!({"entries": entries, "meta": meta(1201, 3)}).to_string();
    state.put(bucket, &format!("{prefix}manifest"), Content { size: body.len() as u64, body });
}

/// However an attempt ends, and whatever is written after that: of what lies beside its folder nothing is taken.
#[tokio::test(start_paused = true)]
async fn objects_of_others_whose_keys_begin_like_ours_stay() {
    let endings = [
        Ending::Finished(files()),
        Ending::Failed("permission denied", files()),
        Ending::Failed(CONNECTION, files()),
        Ending::Aborted(files()),
    ];
    for (ending, versioned) in endings.into_iter().flat_map(|ending| [(ending.clone(), false), (ending, true)]) {
        let mut driver = with(vec![ending.clone()]).await;
        driver.submit("j", job("a", |spec| spec["dataPolicy"] = json!("Delete")));
        let uid = driver.kubernetes.job("j").unwrap().metadata.uid.unwrap();
        {
            let mut state = driver.aws.state();
            state.versioned = versioned;
            state.warehouse.writes_on = Some(Duration::from_secs(20));
            let beside = ["1", "10/a", "1-old/a", "1.txt", "01/a"].map(|name| format!("warehouse/stores/{uid}/{name}"));
            let folders = ["stores/", "_redshift-link/"].map(|folder| format!("warehouse/{folder}{uid}-of-another/1"));
            beside.iter().chain(&folders).for_each(|key| state.put_size("exports", key, 7));
            let upload = Upload { key: format!("warehouse/stores/{uid}/1-old/b"), id: "upload-of-another".into() };
            state.uploads.insert(("exports".into(), upload));
        }
        let before = driver.aws.in_buckets();
        assert!(driver.finish("j", 40).await, "{ending:?}");
        assert!(driver.aws.in_buckets().len() > before.len(), "there was something to remove");
        driver.remove("j", "beside others").await;
        driver.pass(Duration::from_secs(600)).await;
        assert_eq!(driver.aws.in_buckets(), before, "{ending:?} {versioned}");
    }
}
