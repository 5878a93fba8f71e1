import EbeeDaemon

@main
struct Main {
    static func main() { Ebeed.main() }
}
