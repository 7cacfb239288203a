// The TypeScript SDK v2 against a server of boxes: `ERA URL` or `ERA COMMAND ARGUMENT...`, ERA being auto or legacy.
// Writes one JSON line for each step, then one for each change of the tool list, until stdin ends.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const [era, target, ...rest] = process.argv.slice(1);
const say = (step, value) => console.log(JSON.stringify([step, value]));
const names = tools => tools.map(tool => tool.name);

const client = new Client(
    { name: 'interop', version: '1' },
    {
        versionNegotiation: { mode: era },
        listChanged: { tools: { onChanged: (error, tools) => say('changed', error ? String(error) : names(tools)) } },
    },
);
const transport = target.startsWith('http')
    ? new StreamableHTTPClientTransport(new URL(target))
    : new StdioClientTransport({ command: target, args: rest, env: process.env, stderr: 'ignore' });

await client.connect(transport);
say('connected', client.getNegotiatedProtocolVersion());
say('listed', names((await client.listTools()).tools));
const call = (name, args) => client.callTool({ name, arguments: args });
say('called', await call('dates__weekday', { day: '2001-09-11' }));
say('refused', await call('dates__weekday', { day: '2001-13-11' }));
say('unknown', await call('dates__weekdy', { day: '2001-09-11' }));
for await (const _ of process.stdin);
await client.close();
