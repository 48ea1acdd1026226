//! `ciliate observe agent-events` and `debug-events`.

use super::{
    print::{Format, FormatFlags, Hosts, Printer},
    raw_filter::usage,
    select::{SelectFlags, Selection, Source},
    server::{self, ServerFlags},
};
use crate::{context::Context, output::emit};
use ciliate_hubble::observer::{GetAgentEventsRequest, GetDebugEventsRequest};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    select: SelectFlags,
    #[command(flatten)]
    format: FormatFlags,
    #[command(flatten)]
    server: ServerFlags,
}

impl Args {
    fn prepare(&self, context: &Context) -> anyhow::Result<(Selection, Printer)> {
        let selection = self.select.selection(Source::Server)?;
        if self.format.output == Format::Table && selection.follow {
            return Err(usage(
                "-o table cannot be combined with --follow: columns are aligned at the end".to_owned(),
            ));
        }
        Ok((selection, Printer::new(self.format.clone(), Hosts::Named, &context.page)))
    }

    pub fn agent(self, context: &Context) -> anyhow::Result<()> {
        let (Selection { number, first, follow, since, until }, mut printer) = self.prepare(context)?;
        let request = GetAgentEventsRequest { number, first, follow, since, until };
        server::run(async {
            let server = self.server.connect(context).await?;
            let stream = server.observer().get_agent_events(request).await;
            let mut stream = stream.map_err(|status| server.failed(&status))?.into_inner();
            while let Some(answer) = stream.message().await.map_err(|status| server.failed(&status))? {
                emit(&printer.agent_event(&answer)?)?;
            }
            Ok(())
        })?;
        emit(&printer.finish())?;
        Ok(())
    }

    pub fn debug(self, context: &Context) -> anyhow::Result<()> {
        let (Selection { number, first, follow, since, until }, mut printer) = self.prepare(context)?;
        let request = GetDebugEventsRequest { number, first, follow, since, until };
        server::run(async {
            let server = self.server.connect(context).await?;
            let stream = server.observer().get_debug_events(request).await;
            let mut stream = stream.map_err(|status| server.failed(&status))?.into_inner();
            while let Some(answer) = stream.message().await.map_err(|status| server.failed(&status))? {
                emit(&printer.debug_event(&answer)?)?;
            }
            Ok(())
        })?;
        emit(&printer.finish())?;
        Ok(())
    }
}
