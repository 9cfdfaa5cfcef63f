/// Why the link to another host could not be made or cannot go on. One line, without what the peer sent.
struct LinkError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }

    static let ended = LinkError("the link to the other host ended; its log may tell why")
    static let silent = LinkError("the other host did not answer in time; check it and the network between")
    static let violation = LinkError("the other host broke the protocol; run the same release on both")
}
