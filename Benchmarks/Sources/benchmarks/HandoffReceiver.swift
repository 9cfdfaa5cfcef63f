import CRival
import Glibc
import Handoff
import TLSRecords

/// The process connections are handed to: this program, started again.
enum HandoffReceiver {
    static let argument = "--receive-handoffs"
    /// Where its ends of the two channels are.
    static let channel: Int32 = 3
    static let roundTrips: Int32 = 4

    static func run() -> Int32 {
        guard rival_answer_round_trips(roundTrips) == 0 else { return 1 }
        do {
            var channel = ReceiverChannel(try HandoffSocket.adopting(channel))
            while let received = try channel.receive(deadline: .after(.seconds(600))) {
                received.parcels.consumeEach { parcel in
                    // The new owner could send now; the benchmark ends here, and so do its descriptors.
                    var parcel = parcel
                    if let snapshot = parcel.snapshot.take() { _ = Connection(resuming: snapshot) }
                }
            }
            return 0
        } catch {
            return 0
        }
    }
}
