//! The local warehouse: SQL on a real PostgreSQL, as one of its database users.

use super::local_aws::LocalAws;
use aws_sdk_redshiftdata::Client;
use aws_sdk_redshiftdata::types::{Field, StatusString};
use serde_json::Value;

/// The first cluster of a world, as one of its users sees it.
pub struct Warehouse {
    data: Client,
    cluster: String,
    database: String,
    user: String,
}

impl Warehouse {
    /// As its administrator.
    pub async fn of(aws: &LocalAws, world: &Value) -> Self {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let (side, cluster) = (&world["producer"], &world["pairs"][0]["producer"]);
        Self {
            data: Client::new(&aws.config(&side["admin"], &text(&side["region"])).await),
            cluster: text(&cluster["clusterIdentifier"]),
            database: text(&cluster["database"]),
            user: text(&cluster["masterUsername"]),
        }
    }

    /// As another of its users.
    pub fn as_user(&self, user: &str) -> Self {
        let Self { data, cluster, database, .. } = self;
        Self { data: data.clone(), cluster: cluster.clone(), database: database.clone(), user: user.into() }
    }

    /// Runs a statement: its id, or the words in which it failed.
    pub async fn tries(&self, sql: &str) -> Result<String, String> {
        let request = self.data.execute_statement().cluster_identifier(&self.cluster).database(&self.database);
        let id = request.db_user(&self.user).sql(sql).send().await.expect("submitted").id.expect("an id");
        loop {
            let found = self.data.describe_statement().id(&id).wait_time_seconds(5).send().await.expect("described");
            match found.status {
                Some(StatusString::Finished) => return Ok(id),
                Some(StatusString::Failed | StatusString::Aborted) => return Err(found.error.unwrap_or_default()),
                _ => {}
            }
        }
    }

    /// Runs a statement that has to succeed: its id.
    pub async fn does(&self, sql: &str) -> String {
        self.tries(sql).await.unwrap_or_else(|error| panic!("{error}: {}", sql.chars().take(2000).collect::<String>()))
    }

    /// The texts of the one column of a query.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let id = self.does(sql).await;
        let pages = self.data.get_statement_result().id(id).into_paginator().items().send();
        let rows = pages.collect::<Result<Vec<_>, _>>().await.expect("a result");
        let text = |row: Vec<Field>| match row.into_iter().next() {
            Some(Field::StringValue(text)) => text,
            other => panic!("no text: {other:?}"),
        };
        rows.into_iter().map(text).collect()
    }
}
