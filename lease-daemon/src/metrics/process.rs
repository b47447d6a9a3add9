//! What this process uses, under the names that every Prometheus client has for it.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Error, Gauge, IntGauge};

/// Read from `/proc` whenever somebody looks.
pub(super) struct Process {
    cpu: Counter,
    resident: IntGauge,
    virtual_size: IntGauge,
    open_fds: IntGauge,
    max_fds: IntGauge,
    threads: IntGauge,
    start: Gauge,
}

impl Process {
    pub(super) fn new() -> Result<Process, Error> {
        Ok(Process {
            cpu: Counter::new(
                "process_cpu_seconds_total",
                "Time that processors spent on this process, in user and system mode.",
            )?,
            resident: IntGauge::new("process_resident_memory_bytes", "Memory that it has resident.")?,
            virtual_size: IntGauge::new("process_virtual_memory_bytes", "Its address space.")?,
            open_fds: IntGauge::new("process_open_fds", "File descriptors that it has open.")?,
            max_fds: IntGauge::new("process_max_fds", "File descriptors that it may have open.")?,
            threads: IntGauge::new("process_threads", "Its threads.")?,
            start: Gauge::new("process_start_time_seconds", "When it was started, as unix time.")?,
        })
    }

    fn all(&self) -> [&dyn Collector; 7] {
        let Process { cpu, resident, virtual_size, open_fds, max_fds, threads, start } = self;
        [cpu, resident, virtual_size, open_fds, max_fds, threads, start]
    }

    fn look(&self) -> procfs::ProcResult<()> {
        let process = procfs::process::Process::myself()?;
        let stat = process.stat()?;
        let ticks = procfs::ticks_per_second() as f64;
        let used = (stat.utime + stat.stime) as f64 / ticks;
        self.cpu.inc_by((used - self.cpu.get()).max(0.0));
        let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.resident.set(signed(stat.rss.saturating_mul(procfs::page_size())));
        self.virtual_size.set(signed(stat.vsize));
        self.threads.set(stat.num_threads);
        self.start.set(procfs::boot_time_secs()? as f64 + stat.starttime as f64 / ticks);
        self.open_fds.set(i64::try_from(process.fd_count()?).unwrap_or(i64::MAX));
        let limit = process.limits()?.max_open_files.soft_limit;
        self.max_fds.set(match limit {
            procfs::process::LimitValue::Value(limit) => signed(limit),
            procfs::process::LimitValue::Unlimited => i64::MAX,
        });
        Ok(())
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        match self.look() {
            Ok(()) => self.all().into_iter().flat_map(Collector::collect).collect(),
            // Where /proc is hidden there is nothing to tell; zeros would be a lie.
            Err(error) => {
                tracing::debug!(%error, "nothing of this process can be read");
                Vec::new()
            }
        }
    }
}
