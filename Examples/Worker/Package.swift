// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "Worker",
    dependencies: [
        .package(name: "Baton", path: "../.."),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    ],
    targets: [
        .executableTarget(
            name: "Worker",
            dependencies: [
                .product(name: "Baton", package: "Baton"), .product(name: "BatonNIO", package: "Baton"),
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: [.swiftLanguageMode(.v6)])
    ]
)
