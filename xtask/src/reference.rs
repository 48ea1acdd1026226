//! docs/cli-reference.md: the tree of verbs and the table of settings in Markdown.

use ciliate_api::settings::{Change, SETTINGS};
use clap::{Arg, Command};
use std::fmt::Write;

/// Arguments under this heading come from the table of settings, which is printed once.
const SETTINGS_HEADING: &str = "Settings";
/// Arguments under this heading are the same for every verb.
const COMMON_HEADING: &str = "Everywhere";

pub fn markdown() -> String {
    let mut command = ciliate_cli::command();
    command.build();
    let mut text = String::from(
        "# Command line reference\n\n\
         Made from the code by `make docs`; do not edit. `ciliate help VERB` prints the same.\n\n\
         Called as `cilium` or `cilium-dbg` (a symbolic link) the program takes the same verbs.\n\n",
    );
    contents(&command, &mut text);
    everywhere(&command, &mut text);
    formats(&mut text);
    text.push_str("## Exit codes\n\n```\n");
    text.push_str(&ciliate_cli::exit_codes());
    text.push_str("```\n\n");
    settings(&mut text);
    for verb in verbs(&command) {
        section(verb, 2, &mut text);
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn verbs(command: &Command) -> impl Iterator<Item = &Command> {
    command
        .get_subcommands()
        .filter(|c| !c.is_hide_set() && c.get_name() != "help" && c.get_name() != "exit-codes")
}

/// `ciliate endpoint list`
fn full_name(command: &Command) -> String {
    command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned()
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn contents(command: &Command, text: &mut String) {
    text.push_str("| verb | does |\n|---|---|\n");
    for verb in verbs(command) {
        let name = full_name(verb);
        let anchor = name.replace(' ', "-");
        row(text, &[&format!("[`{name}`](#{anchor})"), &about(verb)]);
    }
    text.push('\n');
}

fn everywhere(command: &Command, text: &mut String) {
    text.push_str("## Flags of every verb\n\n");
    let common = command.get_arguments().filter(|a| a.get_help_heading() == Some(COMMON_HEADING));
    arguments(common, text);
}

fn formats(text: &mut String) {
    text.push_str(
        "## Output\n\n\
         Verbs that show something take `-o table|wide|json|yaml|name|jsonpath=TEMPLATE` and `--no-headers`. \
         JSON and YAML are the same model, whose fields stay. A template is what `kubectl` takes: \
         `{[*].id}`, `{.items[*].metadata.name}`, `{range [*]}{.id}{\"\\n\"}{end}`, `{[?(@.state==\"ready\")].name}`.\n\n\
         Tables fold long columns on a narrow terminal and are never folded in a pipe. Colours are used on a \
         terminal only and not at all where `NO_COLOR` is set.\n\n",
    );
}

fn settings(text: &mut String) {
    text.push_str(
        "## Settings\n\n\
         Each is a flag of `up`, `agent` and `cleanup`, a key of the configuration file and a variable of the \
         environment: `--state-dir`, `state-dir:`, `CILIATE_STATE_DIR`. A flag beats the environment, which beats \
         the file. `ciliate config` shows each with its origin.\n\n\
         | setting | value | default | changes | meaning |\n|---|---|---|---|---|\n",
    );
    for setting in SETTINGS {
        let default =
            if setting.default.is_empty() { String::new() } else { format!("`{}`", setting.default) };
        let changes = match setting.change {
            Change::AtStart => "at start",
            Change::Anytime => "anytime",
        };
        row(text, &[&format!("`{}`", setting.name), setting.form, &default, changes, setting.help]);
    }
    text.push('\n');
}

fn section(command: &Command, level: usize, text: &mut String) {
    let name = full_name(command);
    line(text, &format!("{} {name}\n", "#".repeat(level)));
    line(text, &format!("{}.\n", about(command)));
    if !command.has_subcommands() || command.get_arguments().any(|a| a.is_positional()) {
        line(text, &format!("```\n{}\n```\n", usage(command)));
    }
    let own = command.get_arguments().filter(|a| {
        !a.is_hide_set()
            && a.get_help_heading() != Some(SETTINGS_HEADING)
            && a.get_help_heading() != Some(COMMON_HEADING)
            && a.get_id() != "help"
    });
    arguments(own, text);
    if command.get_arguments().any(|a| a.get_help_heading() == Some(SETTINGS_HEADING)) {
        line(text, "And a flag for each of the [settings](#settings).\n");
    }
    if let Some(after) = command.get_after_help() {
        line(text, &format!("```\n{after}\n```\n"));
    }
    for below in verbs(command) {
        section(below, level.saturating_add(1), text);
    }
}

/// The synopsis, without what every verb takes.
fn usage(command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    usage.trim_start_matches("Usage:").trim().replace("\n       ", "\n")
}

fn arguments<'a>(arguments: impl Iterator<Item = &'a Arg>, text: &mut String) {
    let mut arguments = arguments.peekable();
    if arguments.peek().is_none() {
        return;
    }
    text.push_str("| argument | meaning |\n|---|---|\n");
    for argument in arguments {
        row(text, &[&format!("`{}`", spelling(argument)), &meaning(argument)]);
    }
    text.push('\n');
}

/// `-n, --namespace NAMESPACE`
fn spelling(argument: &Arg) -> String {
    let takes_value = argument.get_action().takes_values();
    let values: Vec<String> =
        argument.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect();
    let value = if takes_value { values.join(" ") } else { String::new() };
    let flags = [
        argument.get_short().map(|short| format!("-{short}")),
        argument.get_long().map(|long| format!("--{long}")),
    ];
    let flags: Vec<String> = flags.into_iter().flatten().collect();
    format!("{} {value}", flags.join(", ")).trim().to_owned()
}

fn meaning(argument: &Arg) -> String {
    let mut text = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let defaults: Vec<String> =
        argument.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    if !defaults.is_empty() && !argument.is_hide_default_value_set() && argument.get_action().takes_values() {
        text.push_str(&format!(" [default: {}]", defaults.join(", ")));
    }
    let choices: Vec<String> =
        argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    if !choices.is_empty() && !argument.is_hide_possible_values_set() && argument.get_action().takes_values()
    {
        text.push_str(&format!(" [one of {}]", choices.join(", ")));
    }
    text
}

fn row(text: &mut String, cells: &[&str]) {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
    line(text, &format!("| {} |", cells.join(" | ")));
}

fn line(text: &mut String, content: &str) {
    // Writing into a String cannot fail.
    writeln!(text, "{content}").ok();
}
