internal import HummingbirdCore
internal import Logging
internal import NIOCore

/// What Hummingbird's own server is given: it listens at a socket of its own, and whoever connects there is sent away. The
/// connections are the `MovableServer`'s, which has accepted them, or got them from the program before.
struct UnusedChannel: ServerChildChannel {
    struct Value: ServerChildChannelValue {
        let channel: any Channel
    }

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeSucceededFuture(Value(channel: channel))
    }

    func handle(value: Value, logger: Logger) async { try? await value.channel.close() }
}
