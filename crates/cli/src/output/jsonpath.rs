//! JSONPath templates as `kubectl -o jsonpath` understands them.
//!
//! Text outside braces is printed as it is; `{...}` holds a path, a quoted string, `range` or `end`.

mod evaluate;
mod parse;

use serde_json::Value;
use thiserror::Error;

/// A parsed template, ready to print any document.
#[derive(Clone, Debug, PartialEq)]
pub struct Template(Vec<Node>);

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Text(String),
    /// Prints what the path finds, separated by spaces.
    Print(Path),
    /// Runs its body once for each thing the path finds, as the new current object.
    Range(Path, Vec<Node>),
}

#[derive(Clone, Debug, PartialEq)]
struct Path {
    start: Start,
    steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// `$`: the whole document.
    Root,
    /// `@` or nothing: the object at hand.
    Current,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    /// `.name`
    Field(String),
    /// `.*` or `[*]`
    Every,
    /// `..`: the object and everything below it.
    Descend,
    /// `[3]`, `[-1]`
    Index(i64),
    /// `[1:5:2]`
    Slice { from: Option<i64>, to: Option<i64>, by: usize },
    /// `['metadata.name']`: the key as it is written, else the path that it spells.
    Quoted { key: String, path: Vec<Step> },
    /// `[a,b]`
    Union(Vec<Step>),
    /// `[?(@.a=="b")]`
    Filter(Filter),
}

#[derive(Clone, Debug, PartialEq)]
enum Filter {
    Exists(Path),
    Compare(Operand, Comparison, Operand),
}

#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Path(Path),
    Literal(Value),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum JsonPathError {
    #[error("jsonpath {template:?}, character {at}: {message}")]
    Syntax { template: String, at: usize, message: String },
    #[error("jsonpath: index {index} lies outside an array of {length}")]
    OutOfBounds { index: i64, length: usize },
}

impl Template {
    /// Reads a template. One without braces that starts like a path (`.items`) is taken as that path.
    pub fn parse(text: &str) -> Result<Self, JsonPathError> {
        parse::template(text).map(Self)
    }

    /// What the template prints for a document.
    pub fn render(&self, document: &Value) -> Result<String, JsonPathError> {
        evaluate::render(&self.0, document)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn render(template: &str, document: &Value) -> String {
        match Template::parse(template).and_then(|t| t.render(document)) {
            Ok(text) => text,
            Err(error) => format!("error: {error}"),
        }
    }

    /// The document and most expressions are those of the Kubernetes reference page on JSONPath.
    #[test]
    fn templates_print_what_kubectl_prints() {
        let document = json!({
            "kind": "List",
            "items": [
                {"kind": "None", "metadata": {"name": "127.0.0.1", "labels": {"kubernetes.io/hostname": "one"}},
                 "status": {"capacity": {"cpu": "4"}, "addresses": [{"type": "LegacyHostIP", "address": "127.0.0.1"}]}},
                {"kind": "None", "metadata": {"name": "127.0.0.2"},
                 "status": {"capacity": {"cpu": "8"}, "addresses": [
                    {"type": "LegacyHostIP", "address": "127.0.0.2"}, {"type": "another", "address": "127.0.0.3"}]}},
            ],
            "users": [
                {"name": "myself", "user": {}, "age": 30},
                {"name": "e2e", "user": {"username": "admin", "password": "secret"}, "age": 7.5, "admin": true},
            ],
        });
        for (template, expected) in [
            ("{.kind}", "List"),
            ("the object is {.kind}", "the object is List"),
            ("{['kind']}", "List"),
            ("{$.kind} {@.kind}", "List List"),
            ("{..name}", "127.0.0.1 127.0.0.2 myself e2e"),
            ("{.items[*].metadata.name}", "127.0.0.1 127.0.0.2"),
            ("{.items..cpu}", "4 8"),
            (
                "{.items[*]['metadata.name', 'status.capacity']}",
                r#"127.0.0.1 {"cpu":"4"} 127.0.0.2 {"cpu":"8"}"#,
            ),
            (r#"{.users[?(@.name=="e2e")].user.password}"#, "secret"),
            ("{.users[?(@.name != 'e2e')].name}", "myself"),
            ("{.users[?(@.age>7)].name}", "myself e2e"),
            ("{.users[?(@.age<=7.5)].name}", "e2e"),
            ("{.users[?(@.admin==true)].name}", "e2e"),
            ("{.users[?(@.admin)].name}", "e2e"),
            ("{.users[?('e2e'==@.name)].age}", "7.5"),
            (
                r#"{range .items[*]}[{.metadata.name}, {.status.capacity}] {end}"#,
                r#"[127.0.0.1, {"cpu":"4"}] [127.0.0.2, {"cpu":"8"}] "#,
            ),
            (
                r#"{range .items[*]}{.metadata.name}{"\t"}{range .status.addresses[*]}{.type};{end}{"\n"}{end}"#,
                "127.0.0.1\tLegacyHostIP;\n127.0.0.2\tLegacyHostIP;another;\n",
            ),
            (r"{.items[*].metadata.labels.kubernetes\.io/hostname}", "one"),
            ("{.items[*].metadata.labels['kubernetes.io/hostname']}", "one"),
            (r"{.items[*].metadata.labels['kubernetes\.io/hostname']}", "one"),
            ("{.items[-1:].metadata.name}", "127.0.0.2"),
            ("{.items[-1].metadata.name}", "127.0.0.2"),
            ("{.items[0:1].metadata.name}", "127.0.0.1"),
            ("{.items[0,1].metadata.name}", "127.0.0.1 127.0.0.2"),
            ("{.users[::2].name}", "myself"),
            (".users[0].name", "myself"),
            ("{.users[0]}", r#"{"age":30,"name":"myself","user":{}}"#),
            ("{.absent.below}", ""),
            ("{.users[*].user.*}", "secret admin"),
            ("plain text", "plain text"),
            ("{.items[7].kind}", "error: jsonpath: index 7 lies outside an array of 2"),
        ] {
            assert_eq!(render(template, &document), expected, "{template}");
        }
    }

    #[test]
    fn a_list_may_be_the_document() {
        let list = json!([{"id": 65, "up": true, "none": null}, {"id": 66}]);
        assert_eq!(render("{[*].id}", &list), "65 66");
        assert_eq!(render("{[0].up}", &list), "true");
        assert_eq!(render("{range [*]}{.id}={.none},{end}", &list), "65=null,66=,");
    }

    proptest! {
        /// Whatever is typed is a template or a mistake, never a crash; half of it is made of the grammar's own signs.
        #[test]
        fn any_text_is_a_template_or_a_mistake(text in r#"([{}\[\]().@$*'",:?=!<> ]|range|end|a|[0-9]|\PC){0,40}"#) {
            if let Ok(template) = Template::parse(&text) {
                let document = json!({"a": [{"a": 1}, {"a": "b"}], "range": null});
                template.render(&document).ok();
            }
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let ranges = "{range .a}".repeat(10_000);
        assert!(Template::parse(&ranges).is_err_and(|e| e.to_string().contains("deeply")));
        let filters = format!("{{{}", ".a[?(@".repeat(10_000));
        assert!(Template::parse(&filters).is_err_and(|e| e.to_string().contains("deeply")));
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (template, message) in [
            ("{.a", "character 3: `{` is not closed"),
            ("{.a[0}", "`[` is not closed"),
            ("{range .a[*]}{.b}", "`range` has no `end`"),
            ("{end}", "`end` without `range`"),
            ("{.a[?(@.b==)]}", "a value is missing"),
            ("{.a[x]}", "`x` is neither an index, a slice, a quoted key, `*` nor a filter"),
            ("{.a[::0]}", "the step of a slice is at least 1"),
            (r#"{"open}"#, "the string is not closed"),
            ("{.a[?(@.b=~'x')]}", "write one of == != < <= > >="),
            ("{a}", "a path starts with `.`, `$`, `@` or `[`"),
        ] {
            let error = Template::parse(template).map_err(|e| e.to_string());
            assert!(error.as_ref().is_err_and(|e| e.contains(message)), "{template}: {error:?}");
        }
    }
}
