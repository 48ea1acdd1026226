//! Expressions in CEL over a flow, of which only what they name is made for them.
//!
//! The flow is `_flow`, its fields have their names in Hubble's interface. Enumerations are numbers, with names such as
//! `Verdict.DROPPED`. A field of a message that is not there is an error in the sense of CEL, and an error is no match.

mod cost;
mod names;
mod pattern;
#[cfg(test)]
mod tests;
mod tree;
mod view;
mod whole;

use crate::Flow;
use cel::{
    Context, Env, Value,
    common::{ast::IdedExpr, types::CelBool},
};
use names::{Names, OfFlow};
use std::sync::{Arc, LazyLock};
use view::View;

/// One expression that says yes or no.
#[derive(Debug)]
pub struct Expression {
    tree: IdedExpr,
    names: Names,
    bound: cost::Bound,
}

/// Characters of one expression, as in Cilium.
const LONGEST: usize = 4096;
/// Loops inside each other, such as `all` in `exists`: each multiplies the time by the length of its list.
const DEEPEST: usize = 2;
/// Steps of an expression about a usual flow; some 100 ns each.
const STEPS: u64 = 100_000;
/// Characters and elements of the largest value that may come up.
const SIZE: u64 = 1 << 20;
/// A flow's lists may make it so many times as much.
const UNUSUAL: u64 = 16;
const FLOW: &str = "_flow";

/// None never happens: no two functions have the same name, and tests use it.
static ENV: LazyLock<Option<Arc<Env>>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    pattern::add(&mut env).ok()?;
    Some(Arc::new(env))
});

impl Expression {
    pub fn read(text: &str) -> Result<Self, String> {
        if text.chars().count() > LONGEST {
            return Err(format!("the expression is longer than {LONGEST} characters"));
        }
        let env = ENV.as_ref().ok_or("expressions cannot be used")?;
        let program = env.compile(text).map_err(|errors| {
            let message = errors.to_string();
            format!("{text:?} is no CEL expression: {}", message.lines().next().unwrap_or_default())
        })?;
        if tree::loops(program.expression()) > DEEPEST {
            return Err(format!("{text:?} has more than {DEEPEST} loops inside each other"));
        }
        let bound = cost::bound(program.expression(), FLOW);
        if bound.steps > STEPS || bound.largest > SIZE {
            return Err(format!(
                "{text:?} may take too long for one flow: have fewer loops inside each other, over shorter lists"
            ));
        }
        let elements = tree::bound_names(program.expression());
        let mut names = Names::default();
        for name in program.references().variables() {
            if name == FLOW || elements.iter().any(|element| element == name) {
                continue;
            }
            names.add_constant(name).map_err(|what| format!("{text:?} {what}"))?;
        }
        let mut tree = program.expression().clone();
        names.look_up(&mut tree, &elements).map_err(|what| format!("{text:?} {what}"))?;
        let expression = Self { tree, names, bound };
        match expression.kind(env) {
            None => Ok(expression),
            Some(kind) => Err(format!("{text:?} is of type {kind}, not bool")),
        }
    }

    /// Whether one of them says yes.
    pub fn any(expressions: &[Self], flow: &Flow) -> bool {
        let Some(env) = ENV.as_ref() else { return false };
        let longest = longest(flow);
        expressions.iter().any(|expression| expression.may_run(longest) && expression.holds(env, flow))
    }

    /// Whether its bounds still hold for lists of such a length.
    fn may_run(&self, longest: u64) -> bool {
        let times = longest.div_ceil(cost::USUAL).max(1);
        let loops = u32::try_from(DEEPEST).unwrap_or(u32::MAX);
        self.bound.steps.saturating_mul(times.saturating_pow(loops)) <= STEPS.saturating_mul(UNUSUAL)
    }

    fn holds(&self, env: &Arc<Env>, flow: &Flow) -> bool {
        let names = OfFlow { names: &self.names, flow: View::new(flow) };
        let mut context = Context::with_env(Arc::clone(env));
        context.set_variable_resolver(&names);
        let value = Value::resolve_val(&self.tree, &context);
        value.is_ok_and(|value| value.downcast_ref::<CelBool>().is_some_and(|yes| *yes.inner()))
    }

    /// What it is of, if it is known not to be a yes or no.
    fn kind(&self, env: &Arc<Env>) -> Option<String> {
        let flow = Flow::from_message(&ciliate_hubble::flow::Flow::default()).ok()?;
        let names = OfFlow { names: &self.names, flow: View::new(&flow) };
        let mut context = Context::with_env(Arc::clone(env));
        context.set_variable_resolver(&names);
        let value = Value::resolve_val(&self.tree, &context).ok()?;
        let other = value.downcast_ref::<CelBool>().is_none();
        other.then(|| value.get_type().name().to_owned())
    }
}

/// Elements of the longest list of a flow.
fn longest(flow: &Flow) -> u64 {
    let of_end = |end: &crate::End| {
        let names = end.names.as_deref().map_or(0, <[String]>::len);
        names.max(end.party.labels.len()).max(end.party.workloads.len())
    };
    let of_judgement = |judgement: &Option<Arc<crate::Judgement>>| {
        judgement.as_deref().map_or(0, |judgement| {
            judgement.by.iter().map(|policy| policy.labels.len()).fold(judgement.by.len(), usize::max)
        })
    };
    let of_request = flow.request.as_deref().map_or(0, |request| match &request.content {
        crate::Content::Http(http) => http.headers.len(),
        crate::Content::Dns(dns) => [&dns.addresses, &dns.cnames, &dns.query_types, &dns.record_types]
            .into_iter()
            .map(Vec::len)
            .fold(0, usize::max),
        crate::Content::Kafka(_)
        | crate::Content::Tls(_)
        | crate::Content::Malformed(_)
        | crate::Content::Other => 0,
    });
    let lengths = [
        of_end(&flow.source),
        of_end(&flow.destination),
        of_judgement(&flow.egress),
        of_judgement(&flow.ingress),
        of_request,
        flow.node.labels.len(),
    ];
    u64::try_from(lengths.into_iter().fold(0, usize::max)).unwrap_or(u64::MAX)
}
