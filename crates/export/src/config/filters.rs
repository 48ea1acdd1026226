//! Filters in settings: JSON, one after the other.

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
