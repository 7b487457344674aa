//! What the policy of a bucket, a key or an endpoint says to a call that is still to come.
//!
//! Not all of such a call is known beforehand, so an answer is yes, no or not known; a call counts as refused only where
//! it surely is. AWS itself decides in the end (docs/aws-behaviour.md#permissions).

use super::policy::strings;
use ipnet::IpNet;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::net::IpAddr;
use wildmatch::WildMatch;

/// A call, as far as it is known.
#[derive(Clone, Debug)]
pub struct Call {
    /// ARN of the role that calls.
    pub role: String,
    /// Its account.
    pub account: String,
    /// `s3:PutObject`, ...
    pub action: &'static str,
    /// ARN of what it is about.
    pub resource: String,
    /// Condition keys in small letters. What is not in it is not known.
    pub keys: BTreeMap<&'static str, Fact>,
}

/// What is known of a condition key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// It has this value.
    Is(String),
    /// The call does not have it.
    Absent,
    /// A public address of AWS, which nobody lists.
    AddressOfAws,
}

/// The statement of a policy that denies a call: its name, or its place.
#[must_use]
pub fn denies(policy: &str, call: &Call) -> Option<String> {
    let statements = statements(policy)?;
    let denying = |statement: &&(usize, Map<String, Value>)| {
        statement.1.get("Effect").is_some_and(|effect| effect == "Deny") && applies(&statement.1, call) == Some(true)
    };
    statements.iter().find(denying).map(|(number, statement)| match statement.get("Sid").and_then(Value::as_str) {
        Some(sid) if !sid.is_empty() => format!("statement {sid}"),
        _ => format!("statement {}", number + 1),
    })
}

/// No statement of a policy can allow a call. Of a text that is no policy that is not said.
#[must_use]
pub fn leaves_out(policy: &str, call: &Call) -> bool {
    statements(policy).is_some_and(|statements| {
        statements.iter().all(|(_, statement)| {
            statement.get("Effect").is_none_or(|effect| effect != "Allow") || applies(statement, call) == Some(false)
        })
    })
}

fn statements(policy: &str) -> Option<Vec<(usize, Map<String, Value>)>> {
    let policy: Value = serde_json::from_str(policy).ok()?;
    let all = match policy.get("Statement")?.clone() {
        Value::Array(list) => list,
        single => vec![single],
    };
    let objects = all.into_iter().map(|statement| statement.as_object().cloned());
    objects.collect::<Option<Vec<_>>>().map(|objects| objects.into_iter().enumerate().collect())
}

/// Whether a statement is about a call; none where that is not known.
fn applies(statement: &Map<String, Value>, call: &Call) -> Option<bool> {
    let action = |pattern: &str| Some(WildMatch::new_case_insensitive(pattern).matches(call.action));
    let resource = |pattern: &str| compare(pattern, |pattern| WildMatch::new(pattern).matches(&call.resource));
    all([
        element(statement, "Action", "NotAction", true, action),
        element(statement, "Resource", "NotResource", true, resource),
        principal(statement, call),
        conditions(statement, call),
    ])
}

/// One of the patterns of an element matches, or none of those of its negation; `absent` where there is neither.
fn element(
    statement: &Map<String, Value>,
    name: &str,
    negation: &str,
    absent: bool,
    matches: impl Fn(&str) -> Option<bool>,
) -> Option<bool> {
    let one_of = |patterns: &Value| any(strings(patterns)?.iter().map(|pattern| matches(pattern)));
    match (statement.get(name), statement.get(negation)) {
        (Some(patterns), _) => one_of(patterns),
        (None, Some(patterns)) => one_of(patterns).map(|matched| !matched),
        (None, None) => Some(absent),
    }
}

fn principal(statement: &Map<String, Value>, call: &Call) -> Option<bool> {
    let ours = |who: &Value| match who {
        Value::String(all) => Some(all == "*"),
        who => {
            let named = who.get("AWS").map_or_else(|| Some(Default::default()), strings)?;
            let root = format!(":iam::{}:root", call.account);
            let account = |named: &String| *named == call.account || named.ends_with(&root);
            Some(named.iter().any(|named| named == "*" || *named == call.role || account(named)))
        }
    };
    match (statement.get("Principal"), statement.get("NotPrincipal")) {
        (Some(who), _) => ours(who),
        (None, Some(who)) => ours(who).map(|ours| !ours),
        // policies of endpoints need none
        (None, None) => Some(true),
    }
}

fn conditions(statement: &Map<String, Value>, call: &Call) -> Option<bool> {
    let Some(conditions) = statement.get("Condition") else { return Some(true) };
    let operators = conditions.as_object()?.iter();
    all(operators.flat_map(|(operator, keys)| {
        let keys = keys.as_object().into_iter().flatten();
        keys.map(|(key, values)| condition(operator, &key.to_ascii_lowercase(), values, call)).collect::<Vec<_>>()
    }))
}

fn condition(operator: &str, key: &str, values: &Value, call: &Call) -> Option<bool> {
    let values = strings(values)?;
    let fact = call.keys.get(key)?;
    if operator == "Null" {
        return any(values.iter().map(|absent| Some((absent == "true") == (*fact == Fact::Absent))));
    }
    let (operator, if_exists) = match operator.strip_suffix("IfExists") {
        Some(operator) => (operator, true),
        None => (operator, false),
    };
    let (operator, negated) = match operator {
        "StringNotEquals" => ("StringEquals", true),
        "StringNotEqualsIgnoreCase" => ("StringEqualsIgnoreCase", true),
        "StringNotLike" => ("StringLike", true),
        "ArnNotEquals" => ("ArnEquals", true),
        "ArnNotLike" => ("ArnLike", true),
        "NotIpAddress" => ("IpAddress", true),
        operator => (operator, false),
    };
    let value = match fact {
        Fact::Absent => return Some(if_exists || negated),
        Fact::AddressOfAws => {
            let everywhere = values.iter().any(|block| block == "0.0.0.0/0");
            return (operator == "IpAddress").then_some(everywhere != negated);
        }
        Fact::Is(value) => value,
    };
    let one_of: Option<bool> = match operator {
        "StringEquals" => any(values.iter().map(|wanted| compare(wanted, |wanted| wanted == value))),
        "StringEqualsIgnoreCase" => {
            any(values.iter().map(|wanted| compare(wanted, |wanted| wanted.eq_ignore_ascii_case(value))))
        }
        "StringLike" | "ArnEquals" | "ArnLike" => {
            any(values.iter().map(|wanted| compare(wanted, |wanted| WildMatch::new(wanted).matches(value))))
        }
        "Bool" => any(values.iter().map(|wanted| Some(wanted == value))),
        "IpAddress" => any(values.iter().map(|block| inside(block, value))),
        _ => None,
    };
    one_of.map(|one_of| one_of != negated)
}

/// The value is in the block; both may be blocks.
fn inside(block: &str, value: &str) -> Option<bool> {
    let net = |text: &str| text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    let (block, value) = (net(block)?, net(value)?);
    match (block.contains(&value), value.contains(&block)) {
        (true, _) => Some(true),
        (false, true) => None,
        (false, false) => Some(false),
    }
}

/// Compares with what a policy says, unless that has variables, which only AWS fills in.
fn compare(wanted: &str, compare: impl Fn(&str) -> bool) -> Option<bool> {
    (!wanted.contains("${")).then(|| compare(wanted))
}

fn all(parts: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    any(parts.into_iter().map(|part| part.map(|part| !part))).map(|any| !any)
}

fn any(parts: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    let mut known = Some(false);
    for part in parts {
        match part {
            Some(true) => return Some(true),
            Some(false) => {}
            None => known = None,
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ROLE: &str = "arn:aws:iam::444455556666:role/redshift-link/test/writer";

    fn put() -> Call {
        Call {
            role: ROLE.into(),
            account: "444455556666".into(),
            action: "s3:PutObject",
            resource: "arn:aws:s3:::exports/warehouse/u/1/0000_part_00".into(),
            keys: BTreeMap::from([
                ("aws:principalarn", Fact::Is(ROLE.into())),
                ("aws:securetransport", Fact::Is("true".into())),
                ("aws:sourcevpce", Fact::Absent),
                ("aws:sourcevpc", Fact::Is("vpc-1".into())),
                ("aws:sourceip", Fact::AddressOfAws),
                ("aws:vpcsourceip", Fact::Is("10.1.0.0/24".into())),
            ]),
        }
    }

    fn policy(effect: &str, more: Value) -> String {
        let mut statement = json!({"Effect": effect, "Principal": "*", "Action": "s3:*", "Resource": "*"});
        for (key, value) in more.as_object().unwrap() {
            statement[key] = value.clone();
        }
        // null takes an element away
        statement.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        json!({"Version": "2012-10-17", "Statement": [{"Sid": "Other", "Effect": "Allow", "Action": "iam:PassRole"}, statement]}).to_string()
    }

    #[test]
    fn a_statement_denies_only_what_it_surely_is_about() {
        let when = |operator: &str, key: &str, value: &str| json!({"Condition": {operator: {key: value}}});
        let rows = [
            (json!({}), true),
            (json!({"Action": "s3:putobject"}), true),
            (json!({"Action": ["s3:GetObject", "s3:Delete*"]}), false),
            (json!({"NotAction": "s3:GetObject", "Action": null}), true),
            (json!({"NotPrincipal": {"AWS": ROLE}, "Principal": null}), false),
            (json!({"Resource": "arn:aws:s3:::exports/*"}), true),
            (json!({"Resource": "arn:aws:s3:::exports"}), false),
            (json!({"Resource": "arn:aws:s3:::exports/*.exe"}), false),
            (json!({"Resource": "arn:aws:s3:::exports/${aws:username}/*"}), false),
            (json!({"Principal": {"AWS": ROLE}}), true),
            (json!({"Principal": {"AWS": "arn:aws:iam::444455556666:root"}}), true),
            (json!({"Principal": {"AWS": "444455556666"}}), true),
            (json!({"Principal": {"AWS": "arn:aws:iam::1:root"}}), false),
            (json!({"Principal": {"Service": "x.amazonaws.com"}}), false),
            (when("StringNotEquals", "aws:SourceVpce", "vpce-1"), true),
            (when("StringNotEqualsIfExists", "aws:SourceVpce", "vpce-1"), true),
            (when("StringEquals", "aws:SourceVpce", "vpce-1"), false),
            (when("StringEqualsIfExists", "aws:SourceVpce", "vpce-1"), true),
            (when("Null", "aws:SourceVpce", "true"), true),
            (when("Null", "aws:SourceVpce", "false"), false),
            (when("StringNotEquals", "aws:SourceVpc", "vpc-1"), false),
            (when("StringNotLike", "aws:sourcevpc", "vpc-2*"), true),
            (when("NotIpAddress", "aws:SourceIp", "203.0.113.0/24"), true),
            (when("NotIpAddress", "aws:SourceIp", "0.0.0.0/0"), false),
            (when("IpAddress", "aws:SourceIp", "203.0.113.0/24"), false),
            (when("NotIpAddress", "aws:VpcSourceIp", "10.0.0.0/8"), false),
            (when("NotIpAddress", "aws:VpcSourceIp", "10.1.0.7/32"), false), // some of them
            (when("NotIpAddress", "aws:VpcSourceIp", "10.9.0.0/16"), true),
            (when("Bool", "aws:SecureTransport", "false"), false),
            (when("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::444455556666:role/redshift-link/*"), false),
            (when("ArnNotEquals", "aws:PrincipalArn", "arn:aws:iam::444455556666:role/admin"), true),
            (when("StringNotEquals", "aws:PrincipalOrgID", "o-1"), false), // not known
            (when("ForAllValues:StringEquals", "aws:SourceVpc", "vpc-1"), false), // not looked into
            (when("StringNotEquals", "aws:SourceVpc", "${aws:PrincipalTag/vpc}"), false),
        ];
        for (more, denied) in rows {
            let found = denies(&policy("Deny", more.clone()), &put());
            assert_eq!(found.as_deref(), denied.then_some("statement 2"), "{more}");
        }
        let both = json!({"Condition": {"StringNotEquals": {"aws:SourceVpc": ["vpc-8", "vpc-9"]},
            "StringNotLike": {"aws:PrincipalArn": [ROLE]}}});
        assert_eq!(denies(&policy("Deny", both), &put()), None, "except this role");
        assert_eq!(denies(&policy("Allow", json!({})), &put()), None);
        assert_eq!(denies("no policy", &put()), None);
        let named = policy("Deny", json!({"Sid": "OnlyFromOffice"}));
        assert_eq!(denies(&named, &put()).as_deref(), Some("statement OnlyFromOffice"));
    }

    #[test]
    fn a_call_is_left_out_only_where_no_statement_can_allow_it() {
        for (more, left_out) in [
            (json!({}), false),
            (json!({"Action": "s3:GetObject"}), true),
            (json!({"NotPrincipal": {"AWS": ROLE}, "Principal": null}), true),
            (json!({"Resource": "arn:aws:s3:::others/*"}), true),
            (json!({"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}), false),
            (json!({"Condition": {"StringEquals": {"aws:SourceVpce": "vpce-1"}}}), true),
            (json!({"Condition": {"StringEquals": {"aws:ResourceAccount": "1"}}}), false),
        ] {
            assert_eq!(leaves_out(&policy("Allow", more.clone()), &put()), left_out, "{more}");
        }
        assert!(leaves_out(r#"{"Statement": []}"#, &put()));
        assert!(!leaves_out("no policy", &put()));
    }
}
