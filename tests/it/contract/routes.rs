//! Routes: one for a table and destination, without id or mark (docs/aws-behaviour.md#routes).

use super::accounts::Side;
use super::scene::{Scene, consumer, producer};
use redshift_link::aws::effect::{Effect, ResourceId};
use redshift_link::aws::error::Class;
use redshift_link::aws::model::{Destination, Target};
use redshift_link::aws::read::Read;

impl Side {
    fn route(&self, table: usize, to: &str, over: &str) -> Effect {
        let (cidr, peering) = (to.parse().expect("a block"), ResourceId::Known(over.into()));
        Effect::CreateRoute { at: self.at(), table: self.tables[table].clone(), cidr, peering }
    }

    fn reroute(&self, table: usize, to: &str, over: &str) -> Effect {
        let (cidr, peering) = (to.parse().expect("a block"), ResourceId::Known(over.into()));
        Effect::ReplaceRoute { at: self.at(), table: self.tables[table].clone(), cidr, peering }
    }

    fn unroute(&self, table: usize, to: &str) -> Effect {
        Effect::DeleteRoute { at: self.at(), table: self.tables[table].clone(), cidr: to.parse().expect("a block") }
    }
}

const PRODUCER_BLOCK: &str = "10.1.0.0/16";
const CONSUMER_BLOCK: &str = "10.2.0.0/16";

impl Scene {
    /// What the consumer's first table does with traffic to the producer: target, and whether it is dropped.
    async fn way(&mut self) -> Option<(Target, bool)> {
        let to = Destination::Cidr(PRODUCER_BLOCK.parse().expect("a block"));
        let routes = self.routes(consumer, 0).await;
        routes.into_iter().find(|route| route.destination == to).map(|route| (route.target, route.blackhole))
    }
}

pub async fn a_destination_has_one_route(s: &mut Scene) {
    let id = s.join().await;
    s.does(s.accounts.consumer.route(0, PRODUCER_BLOCK, &id)).await;
    s.does(s.accounts.producer.route(1, CONSUMER_BLOCK, &id)).await;
    let way = s.way().await;
    s.holds("over the connection", way == Some((Target::Peering(id.clone()), false)));
    s.routes(producer, 1).await;
    s.refused("RouteAlreadyExists", Class::Stale, s.accounts.consumer.route(0, PRODUCER_BLOCK, &id)).await;
    s.refused("RouteAlreadyExists", Class::Stale, s.accounts.consumer.route(1, "0.0.0.0/0", &id)).await;
    s.does(s.accounts.consumer.route(0, "10.1.7.0/24", &id)).await;
    s.does(s.accounts.consumer.unroute(0, PRODUCER_BLOCK)).await;
    let way = s.way().await;
    s.holds("no route, but the narrower one stays", way.is_none());
    s.refused("InvalidRoute.NotFound", Class::Stale, s.accounts.consumer.unroute(0, PRODUCER_BLOCK)).await;
}

pub async fn the_own_network_is_not_routed_elsewhere(s: &mut Scene) {
    let id = s.join().await;
    for inside in [CONSUMER_BLOCK, "10.2.3.0/24"] {
        s.refused("InvalidParameterValue", Class::Terminal, s.accounts.consumer.route(0, inside, &id)).await;
    }
    s.does(s.accounts.consumer.route(0, "10.0.0.0/8", &id)).await;
    s.refused("InvalidParameterValue", Class::Terminal, s.accounts.consumer.reroute(0, CONSUMER_BLOCK, &id)).await;
    s.refused("InvalidParameterValue", Class::Terminal, s.accounts.consumer.unroute(0, CONSUMER_BLOCK)).await;
    s.routes(consumer, 0).await;
}

pub async fn a_route_drops_traffic_unless_the_connection_is_active(s: &mut Scene) {
    let id = s.asks(s.request()).await;
    s.does(s.accounts.consumer.route(0, PRODUCER_BLOCK, &id)).await;
    let (dropped, carried) = (Some((Target::Peering(id.clone()), true)), Some((Target::Peering(id.clone()), false)));
    let way = s.way().await;
    s.holds("dropped while pending", way == dropped);
    s.does(s.acceptance(&id)).await;
    let way = s.way().await;
    s.holds("dropped while provisioning", way == dropped);
    s.accounts.people.finish_provisioning(&id).await;
    let way = s.way().await;
    s.holds("carried", way == carried);
    s.does(Effect::DeleteVpcPeeringConnection { at: s.accounts.consumer.at(), peering: id.clone() }).await;
    let way = s.way().await;
    s.holds("it stays, and traffic is dropped", way == dropped);
    let over_dead = s.accounts.consumer.route(1, PRODUCER_BLOCK, &id);
    s.refused("InvalidVpcPeeringConnectionID.NotFound", Class::Stale, over_dead).await;
    let again = s.accounts.consumer.route(0, PRODUCER_BLOCK, &id);
    s.refused("RouteAlreadyExists", Class::Stale, again).await;

    let other = s.join().await;
    s.does(s.accounts.consumer.reroute(0, PRODUCER_BLOCK, &other)).await;
    let way = s.way().await;
    s.holds("carried by the new one", way == Some((Target::Peering(other), false)));
}

pub async fn only_a_route_that_is_there_is_replaced(s: &mut Scene) {
    let id = s.join().await;
    s.refused("InvalidParameterValue", Class::Terminal, s.accounts.consumer.reroute(0, PRODUCER_BLOCK, &id)).await;
    s.does(s.accounts.consumer.reroute(1, "0.0.0.0/0", &id)).await;
    s.routes(consumer, 1).await;
}

pub async fn a_connection_of_other_networks_is_no_target(s: &mut Scene) {
    let id = s.join().await;
    s.refused("InvalidParameterValue", Class::Terminal, s.accounts.elsewhere.route(0, PRODUCER_BLOCK, &id)).await;
    let unknown = s.accounts.consumer.route(0, PRODUCER_BLOCK, "pcx-0123456789abcdef0");
    s.refused("InvalidVpcPeeringConnectionID.NotFound", Class::Stale, unknown).await;
    s.routes(consumer, 0).await;
}

pub async fn tables_are_found_by_network_and_by_connection(s: &mut Scene) {
    let id = s.join().await;
    let at = s.accounts.consumer.at();
    for table in [0, 2] {
        s.does(s.accounts.consumer.route(table, PRODUCER_BLOCK, &id)).await;
    }
    let vpcs = [&s.accounts.consumer, &s.accounts.elsewhere, &s.accounts.producer].map(|side| side.vpc.id.clone());
    let [consumer, elsewhere, theirs] = vpcs;
    let nowhere = "vpc-0123456789abcdef0".to_owned();
    let of = |vpc: &String| Read::TablesOfVpc(at.clone(), vpc.clone());
    let through = |id: &str| Read::TablesThrough(at.clone(), id.to_owned());
    let reads = [of(&consumer), of(&elsewhere), of(&theirs), of(&nowhere)];
    let reads = reads.into_iter().chain([through(&id), through("pcx-0123456789abcdef0")]);
    let seen = s.sees_all(reads).await;

    let tables = seen.tables_of_vpc(&at, consumer).expect("answered");
    let main: Vec<&String> = tables.iter().filter(|table| table.main).map(|table| &table.id).collect();
    s.holds("one main table", main == [&s.accounts.consumer.tables[1]]);
    let serves = |subnet: usize| {
        let subnet = &s.accounts.consumer.subnets[subnet];
        tables.iter().find(|table| table.subnets.contains(subnet)).map(|table| table.id.as_str())
    };
    let (own, none) = (serves(0) == Some(s.accounts.consumer.tables[0].as_str()), serves(1).is_none());
    s.holds("a subnet on the main table is in no association", own && none);
    let empty = seen.tables_of_vpc(&at, theirs).expect("answered").is_empty()
        && seen.tables_of_vpc(&at, nowhere).expect("answered").is_empty()
        && seen.tables_through(&at, "pcx-0123456789abcdef0").expect("answered").is_empty();
    s.holds("no tables of networks that are not of the account", empty);
    s.holds("two tables through the connection", seen.tables_through(&at, id).expect("answered").len() == 2);
}

pub async fn a_full_table_takes_no_more_routes(s: &mut Scene) {
    let id = s.join().await;
    s.accounts.people.set_routes_per_table(3).await;
    s.does(s.accounts.consumer.route(0, PRODUCER_BLOCK, &id)).await;
    s.does(s.accounts.consumer.route(0, "10.1.7.0/24", &id)).await;
    let third = s.accounts.consumer.route(0, "10.1.8.0/24", &id);
    s.refused("RouteLimitExceeded", Class::Blocked, third.clone()).await;
    s.refused("RouteAlreadyExists", Class::Stale, s.accounts.consumer.route(0, PRODUCER_BLOCK, &id)).await;
    s.does(s.accounts.consumer.unroute(0, "10.1.7.0/24")).await;
    s.does(third).await;
}

pub async fn a_table_that_is_not_there_is_not_found(s: &mut Scene) {
    let id = s.join().await;
    let (at, cidr) = (s.accounts.consumer.at(), PRODUCER_BLOCK.parse().expect("a block"));
    for table in ["rtb-0123456789abcdef0".to_owned(), s.accounts.producer.tables[0].clone()] {
        let (at, peering) = (at.clone(), ResourceId::Known(id.clone()));
        let route = Effect::CreateRoute { at: at.clone(), table: table.clone(), cidr, peering: peering.clone() };
        s.refused("InvalidRouteTableID.NotFound", Class::Stale, route).await;
        let reroute = Effect::ReplaceRoute { at: at.clone(), table: table.clone(), cidr, peering };
        s.refused("InvalidRouteTableID.NotFound", Class::Stale, reroute).await;
        s.refused("InvalidRoute.NotFound", Class::Stale, Effect::DeleteRoute { at, table, cidr }).await;
    }
}
