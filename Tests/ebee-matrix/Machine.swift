import Glibc

/// The machines that cells run on, and the files they leave: for each cell `NAME.output`, and `NAME.console`, which has
/// the kernel's own words.
struct Machines {
    /// Where ebeed and the others were built.
    let programs: String
    /// Where files are left.
    let directory: String
    /// Seconds after which a cell is given up.
    let limit: Int
    /// .ci/kernels' directory for each kernel.
    private var kernels: [String: String] = [:]

    static let built = ["ebeed", "ebeectl", "ebee-act", "ebee-coverage", "ebee-refuse", "ebee-account", "ebee-load"]

    /// Fetches the kernels and makes what the guests run on.
    init(for cells: [Cell], programs: String, directory: String, limit: Int, refresh: Bool) throws {
        (self.programs, self.directory, self.limit) = (programs, directory, limit)
        try run(["mkdir", "-p", directory])
        let wanted = Cell.kernels.filter { kernel in cells.contains { $0.kernel == kernel } }
        if wanted.isEmpty { return }
        let list = "\(directory)/kernels"
        // What it says on standard error is for people.
        try run(
            ["sh", "-c", "list=$1; shift; exec .ci/kernels \"$@\" >\"$list\"", "sh", list]
                + (refresh ? ["--refresh"] : []) + wanted)
        for path in read(list).split(separator: "\n") {
            kernels[String(path.split(separator: "/").last ?? "")] = String(path)
        }
        try run(
            [".ci/initramfs", "\(directory)/base.cpio"] + Self.built.map { "\(programs)/\($0)" }
                + ["\(programs)/refuse.bpf.o"])
    }

    func output(_ cell: Cell) -> String { "\(directory)/\(file(cell)).output" }
    func console(_ cell: Cell) -> String { "\(directory)/\(file(cell)).console" }
    private func file(_ cell: Cell) -> String { cell.name.replacing("/", with: "-") }

    /// Starts a cell; it is over when the process is.
    func start(_ cell: Cell, _ script: String) throws -> Child {
        let place = "\(directory)/\(file(cell))"
        guard let kernel = cell.kernel else {
            try write(script, to: "\(place).sh")
            return try Child(["timeout", "--foreground", "\(limit)", "sh", "\(place).sh"], output: output(cell))
        }
        guard let home = kernels[kernel] else { throw Failure("kernel \(kernel) was not fetched") }
        try run(["mkdir", "-p", place])
        try write(script, to: "\(place)/command")
        try run([
            "sh", "-c", "(cd \"$1\" && echo command | cpio -o -H newc -R 0:0 --quiet) | cat \"$2\" \"$3\" - >\"$4\"",
            "sh",
            place, "\(home)/modules.cpio", "\(directory)/base.cpio", "\(place)/initrd",
        ])
        try write("", to: output(cell))
        // One thread for both processors: with one each, qemu now and then runs an instruction that the kernel has just
        // replaced, such as the breakpoint of a static key, and the kernel panics. Two machines use two threads.
        var accelerator = ["-accel", "tcg,thread=single", "-smp", "2"]
        if cell.condition == .preempt { accelerator = ["-accel", "tcg,thread=single", "-smp", "1"] }
        if cell.isCounted {
            accelerator = ["-accel", "tcg,thread=single", "-smp", "1", "-icount", "shift=0,sleep=off"]
        }
        return try Child(
            ["timeout", "--foreground", "--kill-after=10", "\(limit)", "qemu-system-x86_64"] + accelerator + [
                "-cpu", "max", "-m", "1024", "-display", "none", "-nodefaults", "-no-reboot",
                "-serial", "file:\(console(cell))", "-serial", "file:\(output(cell))",
                "-kernel", "\(home)/vmlinuz", "-initrd", "\(place)/initrd",
                "-append", "console=ttyS0 loglevel=5 panic=-1 \(cell.bootOptions)",
            ], output: "\(place)/qemu")
    }

    /// Runs a command to its end.
    private func run(_ arguments: [String]) throws {
        let status = try Child(arguments).wait()
        if status != 0 { throw Failure("\(arguments[0]) ended with \(status)") }
    }
}
