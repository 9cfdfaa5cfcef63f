// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "PollLoop",
    dependencies: [.package(name: "Baton", path: "../..")],
    targets: [
        .executableTarget(
            name: "PollLoop", dependencies: [.product(name: "Baton", package: "Baton")],
            swiftSettings: [.swiftLanguageMode(.v6)])
    ]
)
