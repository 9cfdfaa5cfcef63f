/// How a worker paces the handing over of all its connections.
enum HandoverLimits {
    /// How many connections stand still at once.
    static let batch = 32
    /// When none could leave, they are tried again after this.
    static let pauseAfterNone = Duration.milliseconds(20)
    /// When none was taken, they are offered again after this.
    static let pauseAfterRefusal = Duration.milliseconds(100)
}
