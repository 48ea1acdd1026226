//! Expressions in CEL over the message of a flow, which is made only for them.
//!
//! The flow is `_flow`, its fields have their names in Hubble's interface. Enumerations are numbers, with names such as
//! `Verdict.DROPPED`. A field of a message that is not there is an error in the sense of CEL, and an error is no match.

use crate::Flow;
use crate::mask::POOL;
use cel::{
    Context, Env, Program, Value,
    common::ast::{EntryExpr, Expr, IdedExpr},
    objects::{Key, Map},
};
use prost::Message as _;
use prost_reflect::{
    Cardinality, DynamicMessage, EnumDescriptor, Kind, MessageDescriptor, ReflectMessage as _, Value as Field,
};
use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

/// One expression that says yes or no.
#[derive(Debug)]
pub struct Expression {
    program: Program,
    /// Names of enumerations that it uses.
    constants: Vec<(String, Value)>,
}

/// Characters of one expression, as in Cilium.
const LONGEST: usize = 4096;
/// Loops inside each other, such as `all` in `exists`: each multiplies the time by the length of its list.
const DEEPEST: usize = 2;
const FLOW: &str = "_flow";
const PACKAGE: &str = "flow";

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

impl Expression {
    pub fn read(text: &str) -> Result<Self, String> {
        if text.chars().count() > LONGEST {
            return Err(format!("the expression is longer than {LONGEST} characters"));
        }
        let program = ENV.compile(text).map_err(|errors| {
            let message = errors.to_string();
            format!("{text:?} is no CEL expression: {}", message.lines().next().unwrap_or_default())
        })?;
        if loops(program.expression()) > DEEPEST {
            return Err(format!("{text:?} has more than {DEEPEST} loops inside each other"));
        }
        let (mut constants, mut elements) = (Vec::new(), Vec::new());
        bound(program.expression(), &mut elements);
        for name in program.references().variables() {
            if name == FLOW || elements.contains(&name) {
                continue;
            }
            let value = constant(name)
                .ok_or_else(|| format!("{text:?} has the unknown name {name}: the flow is {FLOW}"))?;
            constants.push((name.to_owned(), value));
        }
        let expression = Self { program, constants };
        match expression.run(&to_value(&ciliate_hubble::flow::Flow::default())) {
            Ok(Value::Bool(_)) | Err(_) => Ok(expression),
            Ok(other) => Err(format!("{text:?} is of type {}, not bool", other.type_of())),
        }
    }

    /// Whether one of them says yes. The message is made once for all.
    pub fn any(expressions: &[Self], flow: &Flow) -> bool {
        let message = to_value(&flow.to_message());
        expressions.iter().any(|expression| matches!(expression.run(&message), Ok(Value::Bool(true))))
    }

    fn run(&self, flow: &Value) -> Result<Value, cel::ExecutionError> {
        let mut context = Context::with_env(Arc::clone(&ENV));
        context.add_variable_from_value(FLOW, flow.clone());
        for (name, value) in &self.constants {
            context.add_variable_from_value(name.clone(), value.clone());
        }
        self.program.execute(&context)
    }
}

/// An enumeration by its name, or all of them as `flow`.
fn constant(name: &str) -> Option<Value> {
    let pool = POOL.as_ref()?;
    let of_package = || pool.all_enums().filter(|one| one.package_name() == PACKAGE);
    match name {
        PACKAGE => Some(map(of_package().map(|one| (one.name().to_owned(), numbers(&one))))),
        name => of_package().find(|one| one.name() == name).map(|one| numbers(&one)),
    }
}

fn numbers(one: &EnumDescriptor) -> Value {
    map(one.values().map(|value| (value.name().to_owned(), Value::Int(value.number().into()))))
}

fn map(entries: impl Iterator<Item = (String, Value)>) -> Value {
    let map: HashMap<Key, Value> = entries.map(|(name, value)| (Key::from(name), value)).collect();
    Value::Map(Map { map: Arc::new(map) })
}

fn to_value(message: &ciliate_hubble::flow::Flow) -> Value {
    let descriptor = POOL.as_ref().and_then(|pool| pool.get_message_by_name("flow.Flow"));
    let dynamic = descriptor.and_then(|flow: MessageDescriptor| {
        DynamicMessage::decode(flow, message.encode_to_vec().as_slice()).ok()
    });
    dynamic.map_or(Value::Null, |dynamic| of_message(&dynamic))
}

/// Wrapped numbers as what they wrap; messages that are absent are left out.
fn of_message(message: &DynamicMessage) -> Value {
    let descriptor = message.descriptor();
    if descriptor.full_name().starts_with("google.protobuf.") && descriptor.fields().len() == 1 {
        return message.get_field_by_name("value").map_or(Value::Null, |field| of_field(&field));
    }
    let fields = descriptor.fields().filter(|field| {
        field.cardinality() == Cardinality::Repeated
            || !matches!(field.kind(), Kind::Message(_))
            || message.has_field(field)
    });
    map(fields.map(|field| (field.name().to_owned(), of_field(&message.get_field(&field)))))
}

fn of_field(field: &Field) -> Value {
    match field {
        Field::Bool(yes) => Value::Bool(*yes),
        Field::I32(number) | Field::EnumNumber(number) => Value::Int((*number).into()),
        Field::I64(number) => Value::Int(*number),
        Field::U32(number) => Value::UInt((*number).into()),
        Field::U64(number) => Value::UInt(*number),
        Field::F32(number) => Value::Float((*number).into()),
        Field::F64(number) => Value::Float(*number),
        Field::String(text) => Value::String(Arc::new(text.clone())),
        Field::Bytes(bytes) => Value::Bytes(Arc::new(bytes.to_vec())),
        Field::Message(message) => of_message(message),
        Field::List(list) => Value::List(Arc::new(list.iter().map(of_field).collect())),
        // Hubble's interface has none.
        Field::Map(_) => Value::Null,
    }
}

/// How many loops lie inside each other.
fn loops(expression: &IdedExpr) -> usize {
    let below = parts(expression).into_iter().map(loops).max().unwrap_or(0);
    match &expression.expr {
        Expr::Comprehension(one) => below.max(loops(&one.loop_step).saturating_add(1)),
        _ => below,
    }
}

/// Names that loops give to elements.
fn bound<'a>(expression: &'a IdedExpr, names: &mut Vec<&'a str>) {
    if let Expr::Comprehension(one) = &expression.expr {
        names.extend([one.iter_var.as_str(), one.accu_var.as_str()]);
        names.extend(one.iter_var2.as_deref());
    }
    parts(expression).into_iter().for_each(|part| bound(part, names));
}

fn parts(expression: &IdedExpr) -> Vec<&IdedExpr> {
    fn entry(entry: &EntryExpr) -> Vec<&IdedExpr> {
        match entry {
            EntryExpr::StructField(field) => vec![&field.value],
            EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
        }
    }
    match &expression.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
        Expr::Call(call) => call.args.iter().chain(call.target.as_deref()).collect(),
        Expr::Comprehension(one) => {
            vec![&one.iter_range, &one.accu_init, &one.loop_cond, &one.loop_step, &one.result]
        }
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map.entries.iter().flat_map(|one| entry(&one.expr)).collect(),
        Expr::Struct(one) => one.entries.iter().flat_map(|one| entry(&one.expr)).collect(),
        Expr::Select(select) => vec![&select.operand],
    }
}
