import Glibc
import Handoff

/// Sends one file to many peers over one UDP socket, by a rateless code: no packet is ever sent again, and none is waited for. The
/// sender is replaced in the midst of it, and no receiver begins anew.
///
///     Fountain --file film.mp4 --port 7200 --control /run/user/1000/fountain/control
///
/// A deploy is the same command once more.
@main
struct Fountain {
    static func main() {
        let options = Options(CommandLine.arguments)
        do {
            try run(options)
        } catch let error as HandoffError where error.code == .channelEnded {
            print("\(NothingTaken(path: options["control"]))")
            exit(1)
        } catch {
            print("\(error)")
            exit(1)
        }
    }

    private static func run(_ options: Options) throws {
        let file = try SourceFile(options["file"])
        var sender: Sender
        if let (socket, state) = try Handover.take(at: options["control"], of: file) {
            sender = Sender(file, socket, state.sessions, state.cookies, rate: options.rate)
            print("process \(getpid()) goes on at port \(socket.port) with \(state.sessions.count) sessions")
        } else {
            let socket = try DatagramSocket(port: options.port)
            sender = Sender(file, socket, rate: options.rate)
            print("process \(getpid()) sends at port \(socket.port), \(file.generations.count) generations")
        }
        let listener = try Handover.listen(at: options["control"])
        while true {
            try sender.run(until: listener.descriptor)
            // Nothing is read or written from here on, unless the successor does not take it.
            if try Handover.give(sender, of: file, to: listener) { break }
        }
        print("process \(getpid()) has handed on \(sender.sessions.count) sessions and ends")
    }
}
