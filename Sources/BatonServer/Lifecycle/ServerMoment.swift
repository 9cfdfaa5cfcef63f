/// What a server is doing, as far as its parts are concerned.
enum ServerMoment: Hashable, CaseIterable {
    case starting, serving
    /// A successor starts, with the files as they are or were. It may fail.
    case replacing
    /// The successor has taken over. It may fail still, and then this server serves again.
    case replaced
    case stopping
}
