//! Filters as people write them in flags and settings: JSON, one after the other.

use super::keys::Keys;
use ciliate_hubble::flow::FlowFilter;

/// Reads filters as `hubble observe --allowlist` has them, such as `{"verdict":["DROPPED"]} {"source_pod":["demo/"]}`.
///
/// # Errors
/// Says what is wrong and what would be right.
pub fn read_filters(text: &str) -> Result<Vec<FlowFilter>, String> {
    let wrong = |error: &dyn std::fmt::Display| {
        format!("this is no filter in JSON, as in {{\"verdict\":[\"DROPPED\"]}}: {error}")
    };
    for keys in serde_json::Deserializer::from_str(text).into_iter::<Keys<String>>() {
        let keys = keys.map_err(|error| wrong(&error))?;
        if let Keys::List(_) | Keys::Scalar = keys {
            return Err(wrong(&"write each filter in braces, with spaces between them"));
        }
        keys.check_filter(&String::as_str).map_err(|unknown| {
            format!("a filter has no field {:?}: it has {}", unknown.key, unknown.known)
        })?;
    }
    let filters = serde_json::Deserializer::from_str(text).into_iter::<FlowFilter>();
    filters.collect::<Result<_, _>>().map_err(|error| wrong(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_json_one_after_the_other() {
        let filters = read_filters(r#"{"verdict":["DROPPED"]} {"source_pod":["demo/"]}"#).expect("two");
        assert_eq!((filters.len(), filters[1].source_pod.as_slice()), (2, &["demo/".to_owned()][..]));
        assert_eq!(read_filters(""), Ok(Vec::new()));
        for (text, message) in [
            ("{", "this is no filter in JSON, as in {\"verdict\":[\"DROPPED\"]}: EOF"),
            (
                "[{}]",
                "this is no filter in JSON, as in {\"verdict\":[\"DROPPED\"]}: write each filter in braces",
            ),
            ("{\"verdicts\":[]}", "a filter has no field \"verdicts\": it has destination_cluster_name, "),
            ("{\"verdict\":[\"X\"]}", "this is no filter in JSON"),
        ] {
            let error = read_filters(text).expect_err(text);
            assert!(error.starts_with(message), "{error}");
        }
    }
}
