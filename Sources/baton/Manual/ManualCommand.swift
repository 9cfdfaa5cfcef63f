import ArgumentParser
import BatonConfiguration
import BatonServer

/// `baton manual`: the manual pages, for packages. They are made of the tables of settings and the definitions of the
/// commands, so they are those of this program.
struct ManualCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "manual",
        abstract: "Print a manual page as roff.",
        discussion: "Without a name, those of their files are printed, a line each.",
        shouldDisplay: false)

    @Argument(help: "The page: baton, baton-serve or baton.yaml; its file's name, as baton.1, is allowed too.")
    var page: String?

    func run() throws {
        let pages = try Manual.pages()
        guard let page else { return print(pages.map(\.fileName).joined(separator: "\n")) }
        guard let found = pages.first(where: { page == $0.name || page == $0.fileName }) else {
            let names = pages.map(\.name).joined(separator: ", ")
            throw ValidationError("there is no manual page '\(page)'; the pages are \(names)")
        }
        print(found.roff, terminator: "")
    }
}
