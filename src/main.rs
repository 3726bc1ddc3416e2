//! The program `stampede`. Everything it does is in [`stampede::cli`].

/// Requests are allocated on one thread and freed on another, which is where mimalloc saves most.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    stampede::cli::run(std::env::args_os()).into()
}
