import { networkInterfaces } from 'node:os'

import { expect, test } from 'vitest'

import { isOwnAddress, isPublicAddress } from './address-rules.ts'

test.each([
  '1.1.1.1',
  '8.8.8.8',
  '93.184.215.14',
  '100.63.255.255',
  '100.128.0.0',
  '172.15.255.255',
  '172.32.0.0',
  '169.253.255.255',
  '192.167.255.255',
  '198.17.255.255',
  '198.20.0.0',
  '223.255.255.255',
  '168.63.129.15',
  '2001:4860:4860::8888',
  '2606:4700::1111',
  '2a00:1450:4001:801::200e',
  '2001:200::1',
  '2001:db7::1',
  '3ffe::1',
  '2000::1',
])('%s is public', (address) => {
  expect(isPublicAddress(address)).toBe(true)
})

test.each([
  ['this network', '0.0.0.0'],
  ['this network', '0.255.255.255'],
  ['private', '10.0.0.1'],
  ['private', '10.255.255.255'],
  ['private', '172.16.0.1'],
  ['private', '172.31.255.255'],
  ['private', '192.168.0.1'],
  ['private', '192.168.255.255'],
  ['loopback', '127.0.0.1'],
  ['loopback', '127.255.255.255'],
  ['carrier-grade NAT', '100.64.0.1'],
  ['carrier-grade NAT', '100.127.255.255'],
  ['metadata (Alibaba)', '100.100.100.200'],
  ['link-local', '169.254.0.1'],
  ['metadata (AWS, Google, Azure and others)', '169.254.169.254'],
  ['metadata of containers (AWS)', '169.254.170.2'],
  ['platform (Azure)', '168.63.129.16'],
  ['protocol assignments', '192.0.0.8'],
  ['metadata (Oracle)', '192.0.0.192'],
  ['documentation', '192.0.2.1'],
  ['documentation', '198.51.100.1'],
  ['documentation', '203.0.113.1'],
  ['6to4 relay', '192.88.99.1'],
  ['benchmark', '198.18.0.1'],
  ['benchmark', '198.19.255.255'],
  ['multicast', '224.0.0.1'],
  ['multicast', '239.255.255.255'],
  ['reserved', '240.0.0.1'],
  ['reserved', '255.255.255.254'],
  ['broadcast', '255.255.255.255'],
  ['AS112', '192.31.196.1'],
  ['AS112', '192.175.48.1'],
  ['AMT', '192.52.193.1'],
])('IPv4, %s: %s is not public', (_, address) => {
  expect(isPublicAddress(address)).toBe(false)
})

test.each([
  ['unspecified', '::'],
  ['unspecified, written out', '0:0:0:0:0:0:0:0'],
  ['loopback', '::1'],
  ['loopback, written out', '0000:0000:0000:0000:0000:0000:0000:0001'],
  ['compatible, loopback', '::127.0.0.1'],
  ['compatible, private', '::10.0.0.1'],
  ['compatible, public', '::8.8.8.8'],
  ['compatible, in hexadecimal', '::7f00:1'],
  ['mapped, loopback', '::ffff:127.0.0.1'],
  ['mapped, in hexadecimal', '::ffff:7f00:1'],
  ['mapped, written out', '0:0:0:0:0:ffff:7f00:0001'],
  ['mapped, in capitals', '::FFFF:10.0.0.1'],
  ['mapped, private', '::ffff:192.168.1.1'],
  ['mapped, metadata', '::ffff:169.254.169.254'],
  ['mapped, metadata in hexadecimal', '::ffff:a9fe:a9fe'],
  ['mapped, public', '::ffff:8.8.8.8'],
  ['translated (RFC 2765)', '::ffff:0:127.0.0.1'],
  ['translated (RFC 2765), in hexadecimal', '::ffff:0:7f00:1'],
  ['NAT64, loopback', '64:ff9b::127.0.0.1'],
  ['NAT64, private', '64:ff9b::10.0.0.1'],
  ['NAT64, metadata', '64:ff9b::a9fe:a9fe'],
  ['NAT64, public', '64:ff9b::8.8.8.8'],
  ['NAT64, local prefix', '64:ff9b:1::1'],
  ['NAT64, local prefix, private', '64:ff9b:1:a00:0:100::'],
  ['6to4, loopback', '2002:7f00:1::'],
  ['6to4, private', '2002:a00:1::1'],
  ['6to4, private', '2002:c0a8:101::1'],
  ['6to4, metadata', '2002:a9fe:a9fe::1'],
  ['6to4, public', '2002:808:808::1'],
  ['Teredo', '2001::1'],
  ['Teredo, loopback as its client', '2001:0:4136:e378:8000:63bf:80ff:fffe'],
  ['ISATAP, link-local', 'fe80::5efe:10.0.0.1'],
  ['ISATAP, public prefix', '2a00:1450::5efe:10.0.0.1'],
  ['ISATAP, public prefix, global bit', '2a00:1450::200:5efe:127.0.0.1'],
  ['link-local', 'fe80::1'],
  ['link-local, with a zone', 'fe80::1%eth0'],
  ['link-local, the last', 'febf:ffff::1'],
  ['site-local (deprecated)', 'fec0::1'],
  ['site-local (deprecated), the last', 'feff::1'],
  ['unique local', 'fc00::1'],
  ['unique local', 'fd12:3456:789a::1'],
  ['unique local, the last', 'fdff:ffff::1'],
  ['metadata (AWS)', 'fd00:ec2::254'],
  ['metadata (AWS, containers)', 'fd00:ec2::23'],
  ['metadata (Google)', 'fd20:ce::254'],
  ['multicast, this interface', 'ff01::1'],
  ['multicast, this link', 'ff02::1'],
  ['multicast, global', 'ff0e::1'],
  ['discard', '100::1'],
  ['dummy prefix', '100:0:0:1::1'],
  ['documentation', '2001:db8::1'],
  ['documentation (RFC 9637)', '3fff::1'],
  ['documentation (RFC 9637), the last', '3fff:fff:ffff::1'],
  ['benchmark', '2001:2::1'],
  ['protocol assignments', '2001:1::1'],
  ['protocol assignments, the last', '2001:1ff:ffff::1'],
  ['AMT', '2001:3::1'],
  ['AS112', '2001:4:112::1'],
  ['AS112', '2620:4f:8000::1'],
  ['ORCHID', '2001:10::1'],
  ['ORCHIDv2', '2001:20::1'],
  ['drone identifiers', '2001:30::1'],
  ['segment routing', '5f00::1'],
  ['not given out', '4000::1'],
  ['not given out', '1fff::1'],
  ['not given out', 'e000::1'],
  ['6bone and others before', '::2'],
  ['NSAP (RFC 1888)', '200::1'],
])('IPv6, %s: %s is not public', (_, address) => {
  expect(isPublicAddress(address)).toBe(false)
})

test.each(['', 'localhost', 'example.com', '1.2.3', '0x7f.1', '1.1.1.1:80', '[::1]', '1.1.1.1/32', ' 1.1.1.1', '☃'])(
  '"%s" is no address of a socket, and so not public',
  (address) => {
    expect(isPublicAddress(address)).toBe(false)
  },
)

test("an address of this machine's interfaces is its own, however it is written", () => {
  const [entry] = Object.values(networkInterfaces()).flatMap((entries = []) => entries)
  expect(isOwnAddress(entry?.address ?? '')).toBe(true)
  expect(isOwnAddress('127.0.0.1')).toBe(true)
  expect(isOwnAddress('93.184.215.14')).toBe(false)
  expect(isOwnAddress('nowhere')).toBe(false)
})
