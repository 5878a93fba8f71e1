import EbeeDaemon

@main
struct Main {
    static func main() async { await Ebeed.main() }
}
