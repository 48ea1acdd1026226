//! From objects as users wrote them to the one form of a rule, checking every value on the way.

mod cilium;
mod kubernetes;
mod l7;
mod labels;
mod names;
mod traffic;

use crate::{
    object::{Object, kubernetes::decoded},
    parse::path::Problems,
    rule::Spec,
    selector::Block,
};
use ipnet::IpNet;
use std::{collections::BTreeSet, net::IpAddr};

/// What an object contributes.
#[derive(Clone, Debug, PartialEq)]
pub enum Lowered {
    Policy(Vec<Spec>),
    CidrGroup(BTreeSet<IpNet>),
    /// Labels of a namespace reach the engine as labels of endpoints, and only the proxy gets the values of secrets.
    Nothing,
}

/// Notes everything that is wrong with an object.
pub fn check(object: &Object, problems: &mut Problems) {
    lower(object, problems);
}

/// The result is of use only if no problem was noted.
pub fn lower(object: &Object, problems: &mut Problems) -> Lowered {
    problems.at("metadata", |p| names::check_metadata(object, p));
    match object {
        Object::CiliumNetworkPolicy(policy) => {
            Lowered::Policy(cilium::lower(policy, policy.metadata.namespace.as_deref(), problems))
        }
        Object::CiliumClusterwideNetworkPolicy(policy) => {
            Lowered::Policy(cilium::lower(policy, None, problems))
        }
        Object::NetworkPolicy(policy) => Lowered::Policy(kubernetes::lower(policy, problems)),
        Object::CiliumCidrGroup(group) => {
            let nets = problems.at("spec", |p| {
                p.at("externalCIDRs", |p| {
                    each(&group.spec.external_cidrs, p, |text, p| cidr_or_address(text, p))
                })
            });
            Lowered::CidrGroup(nets.into_iter().flatten().collect())
        }
        Object::Namespace(_) => Lowered::Nothing,
        Object::Secret(secret) => {
            problems.at("data", |p| {
                for (name, value) in &secret.data {
                    if decoded(value).is_none() {
                        p.at(name, |p| {
                            p.fail("is not base64: write what is to be taken as it is under stringData")
                        });
                    }
                }
            });
            Lowered::Nothing
        }
    }
}

/// Looks at every element of a list.
fn each<T, U>(items: &[T], problems: &mut Problems, mut look: impl FnMut(&T, &mut Problems) -> U) -> Vec<U> {
    items.iter().enumerate().map(|(i, item)| problems.index(i, |p| look(item, p))).collect()
}

/// Reads `10.0.0.0/8`, or an address as the prefix that holds only it. Bits after the length are dropped.
fn cidr_or_address(text: &str, problems: &mut Problems) -> Option<IpNet> {
    match text.parse::<IpAddr>() {
        Ok(address) => Some(IpNet::from(address)),
        Err(_) => cidr(text, problems),
    }
}

/// Reads `10.0.0.0/8`. Bits after the length are dropped.
fn cidr(text: &str, problems: &mut Problems) -> Option<IpNet> {
    let net: Option<IpNet> = text.parse().ok();
    if net.is_none() {
        problems.fail(format!("{text:?} is not an address prefix: write one such as 10.0.0.0/8 or fd00::/8"));
    }
    net.map(|net| net.trunc())
}

/// How an exception must lie in its prefix.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Exception {
    /// Not the prefix itself: the Kubernetes API server refuses that.
    Smaller,
    Inside,
}

/// Reads a prefix with exceptions from the fields `cidr` and `except`.
fn block(net: &str, except: &[String], exception: Exception, problems: &mut Problems) -> Option<Block> {
    let net = problems.at("cidr", |p| cidr(net, p));
    let except = problems.at("except", |p| {
        each(except, p, |text, p| {
            let except = cidr(text, p)?;
            let net = net?;
            let fits = net.contains(&except) && (exception == Exception::Inside || net != except);
            if !fits {
                p.fail(format!("{except} does not lie within {net}: an exception is a part of its cidr"));
            }
            Some(except)
        })
    });
    Some(Block { net: net?, except: except.into_iter().flatten().collect() })
}
