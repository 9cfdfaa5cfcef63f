/// Which of a session's legs are on Unix sockets.
struct UnixLegs: OptionSet {
    let rawValue: Int

    static let client = UnixLegs(rawValue: 1)
    static let upstream = UnixLegs(rawValue: 2)
}
