# Stands in for docker.io/library/node:20-slim where no registry of images is reached: the same Debian, Node of this
# machine where that image has it, and its user of id 1000. Only proofs use it.
FROM scratch
ADD base.tar /
COPY node /usr/local/bin/node
COPY npm /usr/local/lib/node_modules/npm
COPY authorities.crt /etc/ssl/certs/ca-certificates.crt
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm && \
    ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx && \
    useradd --uid 1000 --user-group --create-home node
# The authorities of the machine that builds, for downloads while an image is built.
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
CMD ["node"]
