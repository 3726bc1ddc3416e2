# Stampede as one binary: built with Rust, run without a shell, as nobody, on a read-only file system.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin stampede \
    && mkdir /data \
    && cp target/release/stampede /stampede

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /stampede /usr/local/bin/stampede
# A volume mounted here takes over the owner.
COPY --from=build --chown=65532:65532 /data /var/lib/stampede
USER 65532:65532
ENV STAMPEDE_DATA_DIR=/var/lib/stampede \
    STAMPEDE_API_BIND=0.0.0.0:8080 \
    STAMPEDE_OPS_BIND=0.0.0.0:8081 \
    STAMPEDE_DIAGNOSTICS_FORMAT=json
VOLUME /var/lib/stampede
EXPOSE 8080 8081
# Reading the log back after a crash may take a while: 60 tries, 2 s apart.
HEALTHCHECK --interval=2s --timeout=2s --start-period=120s --retries=3 CMD ["stampede", "health"]
# SIGTERM drains; give it 40 s.
STOPSIGNAL SIGTERM
ENTRYPOINT ["stampede"]
CMD ["serve"]
