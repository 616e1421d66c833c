// Learns the services and messages of a server by reflection, as grpcurl does.
// It needs only the address of the server.

'use strict';

const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');
const protobuf = require('protobufjs');
// Adds fromDescriptor to protobufjs.
const descriptor = require('protobufjs/ext/descriptor');

// Folder of Debian's package grpc-proto, which defines the reflection service.
const GRPC_PROTO_DIR = process.env.SLUICE_GRPC_PROTO_DIR;

// Keeps field names as in the proto, as fromDescriptor of protobufjs does.
const LOADER_OPTIONS = {
  keepCase: true,
  longs: String,
  enums: String,
  defaults: true,
};

// Client of the reflection service of one server.
class Reflection {
  constructor(address) {
    const definition = protoLoader.loadSync(
        'grpc/reflection/v1alpha/reflection.proto',
        {...LOADER_OPTIONS, includeDirs: [GRPC_PROTO_DIR]});
    const {ServerReflection} =
        grpc.loadPackageDefinition(definition).grpc.reflection.v1alpha;
    this.client = new ServerReflection(address,
                                       grpc.credentials.createInsecure());
  }

  close() { this.client.close(); }

  async listServices() {
    const answer = await this.ask({list_services: '*'});
    return answer.list_services_response.service.map(({name}) => name);
  }

  // Returns the serialized FileDescriptorSet of the symbols and all their
  // dependencies.
  async fileDescriptorSet(symbols) {
    const files = new Map();
    for (const symbol of symbols) {
      await this.collect({file_containing_symbol: symbol}, files);
    }
    const set = descriptor.FileDescriptorSet.create({
      file: [...files.values()],
    });
    return Buffer.from(descriptor.FileDescriptorSet.encode(set).finish());
  }

  async collect(question, files) {
    const answer = await this.ask(question);
    const {file_descriptor_proto: found} = answer.file_descriptor_response;
    for (const bytes of found) {
      const file = descriptor.FileDescriptorProto.decode(bytes);
      if (files.has(file.name)) continue;
      files.set(file.name, file);
      for (const name of file.dependency) {
        if (!files.has(name)) {
          await this.collect({file_by_filename: name}, files);
        }
      }
    }
  }

  ask(question) {
    return new Promise((resolve, reject) => {
      const stream = this.client.serverReflectionInfo();
      stream.on('data', (answer) => {
        if (answer.error_response) {
          reject(new Error(answer.error_response.error_message));
        } else {
          resolve(answer);
        }
      });
      stream.on('error', reject);
      stream.write(question);
      stream.end();
    });
  }
}

// Learns the given symbols. Returns `services` for grpc-js and `messages` for
// protobufjs.
async function learn(address, symbols) {
  const reflection = new Reflection(address);
  try {
    const set = await reflection.fileDescriptorSet(symbols);
    return {
      services: grpc.loadPackageDefinition(
          protoLoader.loadFileDescriptorSetFromBuffer(set, LOADER_OPTIONS)),
      messages: protobuf.Root.fromDescriptor(
          descriptor.FileDescriptorSet.decode(set)),
    };
  } finally {
    reflection.close();
  }
}

module.exports = {Reflection, learn};
