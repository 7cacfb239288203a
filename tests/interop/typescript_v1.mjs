// The TypeScript SDK v1 against a server of boxes: `URL` or `COMMAND ARGUMENT...`. Says the same as typescript_v2.mjs, but the server's
// name when connected: over stdio this SDK does not tell which version it agreed on.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';

const [target, ...rest] = process.argv.slice(1);
const say = (step, value) => console.log(JSON.stringify([step, value]));
const names = async () => (await client.listTools()).tools.map(tool => tool.name);

const client = new Client({ name: 'interop', version: '1' });
client.setNotificationHandler(ToolListChangedNotificationSchema, async () => say('changed', await names()));
const transport = target.startsWith('http')
    ? new StreamableHTTPClientTransport(new URL(target))
    : new StdioClientTransport({ command: target, args: rest, env: process.env, stderr: 'ignore' });

await client.connect(transport);
say('connected', client.getServerVersion().name);
say('listed', await names());
const call = (name, args) => client.callTool({ name, arguments: args });
say('called', await call('dates__weekday', { day: '2001-09-11' }));
say('refused', await call('dates__weekday', { day: '2001-13-11' }));
say('unknown', await call('dates__weekdy', { day: '2001-09-11' }));
for await (const _ of process.stdin);
await client.close();
